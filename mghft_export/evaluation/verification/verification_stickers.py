"""The stickers that a precision is verified on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mghft_export.bundle import Manifest
from mghft_export.precision.bundle_calibration_set import calibrated_set
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.stickers.dataset import Sticker, StickerSet
from mghft_export.stickers.sticker_choice import choose_split, choose_stickers, require_same_classes


@dataclass(frozen=True)
class VerificationStickers:
    """Labelled stickers of the model's classes.

    Attributes:
        source: where the stickers come from, for reports.
        calibration_set: hash of the calibration set, if the stickers come from one.
    """

    stickers: tuple[Sticker, ...]
    source: str
    calibration_set: str | None = None

    @property
    def description(self) -> str:
        """Source and number of the stickers."""
        return f"{self.source}: {len(self.stickers)} sticker{'s' * (len(self.stickers) != 1)}"

    def remark(self, manifest: Manifest, precision: str) -> str | None:
        """Why a precision may do better on these stickers than on new ones."""
        if self.calibration_set is None:
            return None
        made_on = manifest.quantization.get(precision)
        if made_on is not None and made_on.calibration_set.get("sha256") == self.calibration_set:
            return "stickers of a training split, on which the INT8 ranges were found"
        return "stickers of a training split"


def data_set_stickers(
    data: StickerSet, manifest: Manifest, *, split: str | None = None, limit: int | None = None
) -> VerificationStickers:
    """Stickers of a data set's split: the test split, or all of a data set without splits.

    Args:
        limit: largest number of stickers. They are spread evenly, because files are often sorted by class.

    Raises:
        DataError: the data set lacks the split, or its classes differ from the model's.
    """
    require_same_classes(manifest.class_names, data.class_names)
    chosen_split = choose_split(data, split)
    found = choose_stickers(data, chosen_split)
    if limit is not None and limit < len(found):
        found = tuple(found[number * len(found) // limit] for number in range(limit))
    return VerificationStickers(found, f"{data.root.resolve().name}, {chosen_split} split")


def calibration_stickers(
    manifest: Manifest,
    *,
    precisions: Sequence[str] | None = None,
    limit: int | None = None,
) -> VerificationStickers:
    """Stickers of the calibration set that precisions were made with; only the first `limit` if that is given.

    :func:`~mghft_export.precision.bundle_calibration_set.calibrated_set` finds it.

    Raises:
        DataError: the set cannot be used, or its classes differ from the model's.
        MGHFTError: the precisions were calibrated with different sets.
    """
    instead = "choose one with --precision, or other stickers with --data ROOT"
    chosen = calibrated_set(manifest, precisions, instead=instead)
    calibration = load_calibration_set(chosen.root)
    require_same_classes(manifest.class_names, calibration.manifest.class_names)
    return VerificationStickers(calibration.stickers[:limit], chosen.name, calibration.set_hash)
