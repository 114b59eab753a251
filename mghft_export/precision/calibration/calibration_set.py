"""Read calibration sets. A set is one folder of stickers, not of tensors, so it serves any precision and image size.

    manifest.json            data set, split, seed, classes, counts; hash, text, label and topic of every sticker
    images/<topic>/<file>    the files of the data set, unchanged

A set is drawn from the train split alone (:mod:`.sampling`). People can look at it, and it works wherever it is
copied to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mghft_export.bundle.calibration_manifest import (
    MANIFEST,
    CalibrationManifest,
    StickerEntry,
    read_manifest,
)
from mghft_export.errors import DataError, StickerError
from mghft_export.files.hashing import sha256
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.image import open_sticker


@dataclass(frozen=True)
class CalibrationSet:
    """A calibration set on disk."""

    root: Path
    manifest: CalibrationManifest

    @property
    def stickers(self) -> tuple[Sticker, ...]:
        """Images, texts, class indices and topics, in the order of the manifest."""
        indices = {name: index for index, name in enumerate(self.manifest.class_names)}
        return tuple(
            Sticker(self.root / entry.path, entry.text, indices[entry.label], entry.topic)
            for entry in self.manifest.stickers
        )

    @property
    def set_hash(self) -> str:
        """SHA-256 of the images, texts and labels in their order. Sets with the same hash give the same calibration."""
        return self.manifest.set_hash

    @property
    def bytes(self) -> int:
        """The size of all images together."""
        return sum(entry.bytes for entry in self.manifest.stickers)


def load_calibration_set(root: Path, class_names: Sequence[str] | None = None) -> CalibrationSet:
    """Open a calibration set and check it: its manifest, and that every image is there, unchanged and readable.

    Args:
        class_names: the class names of the model to calibrate. If they are given, the set must have the same.

    Raises:
        DataError: the folder is no calibration set, is damaged, empty or of another version, was changed after the
            sampling, or has other classes than the model.
    """
    manifest = read_manifest(root)
    if class_names is not None:
        _require_same_classes(root, manifest.class_names, tuple(class_names))
    for entry in manifest.stickers:
        _check_image(root, entry)
    return CalibrationSet(root, manifest)


def _require_same_classes(root: Path, own: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    """Case does not count. A model without class names of its own only needs the same number of classes."""
    unnamed = wanted == tuple(f"class {number + 1}" for number in range(len(own)))
    if not unnamed and [name.casefold() for name in own] != [name.casefold() for name in wanted]:
        raise DataError(
            f"the classes of {root} ({', '.join(own)}) are not the model's ({', '.join(wanted)}); "
            "sample a set from the data that the model was trained on"
        )


def _check_image(root: Path, entry: StickerEntry) -> None:
    path = root / entry.path
    try:
        if not path.resolve().is_relative_to(root.resolve()):
            raise DataError(
                f"{root / MANIFEST} names {entry.path!r}, which is outside the set; sample the set again"
            )
        if not path.is_file():
            raise DataError(f"{path} is missing from the calibration set; sample the set again")
        if path.stat().st_size != entry.bytes or sha256(path) != entry.sha256:
            raise DataError(f"{path} was changed after the sampling; sample the set again")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check its permissions") from error
    try:
        open_sticker(path)
    except StickerError as error:
        raise DataError(f"the calibration set has an image that cannot be used: {error}") from error
