"""No sticker of val or test may take part in a calibration, under whatever name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mghft_export.errors import DataError
from mghft_export.files.hashing import sha256
from mghft_export.precision.calibration.calibration_set import CalibrationSet
from mghft_export.stickers.dataset import StickerSet

HELD_OUT = ("val", "test")


@dataclass(frozen=True)
class HeldOut:
    """The stickers of val and test; each is described by its split and path."""

    by_content: Mapping[str, str]
    """By the SHA-256 of the image file."""
    by_name: Mapping[tuple[str, str], str]
    """By topic and file name, which a sticker keeps when its file is converted; without a topic, names mean nothing."""

    def find(self, content: str, topic: str, name: str) -> str | None:
        """The sticker with this image file, or else with this topic and name."""
        return self.by_content.get(content) or self.by_name.get((topic, name))


def held_out_stickers(dataset: StickerSet) -> HeldOut:
    """Read all images of val and test.

    Raises:
        DataError: one cannot be read.
    """
    by_content: dict[str, str] = {}
    by_name: dict[tuple[str, str], str] = {}
    for split in HELD_OUT:
        for sticker in dataset.splits.get(split, ()):
            description = f"{sticker.image} of {split}"
            by_content[image_hash(sticker.image)] = description
            if sticker.topic:
                by_name[sticker.topic, sticker.image.name] = description
    return HeldOut(by_content, by_name)


def image_hash(path: Path) -> str:
    """SHA-256 of an image file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return sha256(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check its permissions") from error


def check_not_held_out(calibration: CalibrationSet, dataset: StickerSet) -> None:
    """Refuse to calibrate on stickers that a data set keeps for measuring.

    Raises:
        DataError: names the first sticker of the set that is in the data set's val or test split, or an image
            of these cannot be read.
    """
    held_out = held_out_stickers(dataset)
    for entry in calibration.manifest.stickers:
        twin = held_out.find(entry.sha256, entry.topic, PurePosixPath(entry.source).name)
        if twin is not None:
            raise DataError(
                f"{entry.path} of the calibration set {calibration.root} is {twin}; "
                "calibrate on a set that was sampled from the train split of this data set"
            )
