"""Which stickers give the ranges, and which are measured on. No sticker is in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mghft_export.errors import DataError
from mghft_export.precision.calibration.calibration_set import CalibrationSet
from mghft_export.precision.calibration.held_out import check_not_held_out, image_hash
from mghft_export.stickers.dataset import Sticker, StickerSet
from mghft_export.stickers.sticker_choice import require_same_classes

EVERY = 4
"""Every fourth sticker of a calibration set is measured on, and the others give the ranges."""


@dataclass(frozen=True)
class StudyStickers:
    """The stickers of a study.

    Attributes:
        measured: stickers that the effects are measured on.
        ranging: stickers that give the ranges; None if the whole calibration set gives them.
        source: where the measured stickers come from, for reports.
    """

    measured: tuple[Sticker, ...]
    ranging: tuple[Sticker, ...] | None
    source: str


def part_of_calibration_set(calibration: CalibrationSet, most: int, name: str) -> StudyStickers:
    """Measure on every fourth sticker of the set; the others give the ranges.

    Args:
        name: name of the set, for reports.

    Raises:
        DataError: the set is too small to divide.
    """
    stickers = calibration.stickers
    if len(stickers) < EVERY:
        raise DataError(
            f"{calibration.root} has {len(stickers)} stickers, too few to measure on some and calibrate on the "
            "others; pass other stickers with --data ROOT"
        )
    return StudyStickers(
        spread(stickers[EVERY - 1 :: EVERY], most),
        tuple(item for number, item in enumerate(stickers, start=1) if number % EVERY),
        f"every {EVERY}th sticker of {name}",
    )


def split_of_data(
    dataset: StickerSet, split: str, calibration: CalibrationSet, class_names: Sequence[str], most: int
) -> StudyStickers:
    """Stickers of a split, none of which may be in the calibration set.

    Raises:
        DataError: the split does not exist or is empty, its classes differ from the model's, it has stickers without
            a text, or it shares stickers with the calibration set.
    """
    require_same_classes(class_names, dataset.class_names)
    found = dataset.split(split)
    if not found:
        raise DataError(f"{dataset.root} has no sticker in its {split} split; choose another with --split")
    check_not_held_out(calibration, dataset)
    measured = spread(found, most)
    calibrating = {entry.sha256 for entry in calibration.manifest.stickers}
    for sticker in measured:
        if not sticker.text.strip():
            raise DataError(f"{sticker.image} has no text, which MGHFT reads; add texts to the data set")
        if image_hash(sticker.image) in calibrating:
            raise DataError(
                f"{sticker.image} of {split} is in the calibration set as well, so nothing is held out; "
                "measure on another split"
            )
    return StudyStickers(measured, None, f"the {split} split of {dataset.root.resolve().name}")


def spread(stickers: Sequence[Sticker], most: int) -> tuple[Sticker, ...]:
    """At most `most` stickers, evenly spaced."""
    if len(stickers) <= most:
        return tuple(stickers)
    return tuple(stickers[number * len(stickers) // most] for number in range(most))
