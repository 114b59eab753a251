"""Keep stickers of val and test out of calibration sets, even under another name."""

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
    """Descriptions by the SHA-256 of the image file."""
    by_name: Mapping[tuple[str, str], str]
    """Descriptions by topic and file name, which stay when a file is converted. Only stickers with a topic are here."""

    def find(self, content: str, topic: str, name: str) -> str | None:
        """The description of the sticker with this image file or, if there is none, with this topic and name."""
        return self.by_content.get(content) or self.by_name.get((topic, name))


def held_out_stickers(dataset: StickerSet) -> HeldOut:
    """Read all images of val and test.

    Raises:
        DataError: an image cannot be read.
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
        DataError: the file cannot be read.
    """
    try:
        return sha256(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check its permissions") from error


def check_not_held_out(calibration: CalibrationSet, dataset: StickerSet) -> None:
    """Refuse to calibrate on stickers that a data set keeps for evaluation.

    Raises:
        DataError: a sticker of the set is in the data set's val or test split (the message names the first), or an
            image of these splits cannot be read.
    """
    held_out = held_out_stickers(dataset)
    for entry in calibration.manifest.stickers:
        twin = held_out.find(entry.sha256, entry.topic, PurePosixPath(entry.source).name)
        if twin is not None:
            raise DataError(
                f"{entry.path} of the calibration set {calibration.root} is {twin}; "
                "calibrate on a set that was sampled from the train split of this data set"
            )
