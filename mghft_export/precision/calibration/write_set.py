"""Write a sample to disk as a calibration set."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from mghft_export.bundle.calibration_manifest import (
    StickerEntry,
    make_manifest,
    read_manifest,
    write_manifest,
)
from mghft_export.errors import DataError
from mghft_export.files.atomic import replacing_folder
from mghft_export.files.hashing import sha256
from mghft_export.precision.calibration.calibration_set import CalibrationSet
from mghft_export.precision.calibration.sampling import Sample, source_path
from mghft_export.stickers.dataset import Sticker

NO_TOPIC = "no-topic"
"""Name of the folder for stickers without a topic."""


def write_calibration_set(sample: Sample, output: Path, *, name: str | None = None) -> CalibrationSet:
    """Copy a sample's images into a folder and write a manifest. This replaces an older calibration set at ``output``.

    Args:
        name: the name of the data set; by default the name of its folder.

    Raises:
        DataError: ``output`` has something in it that is not a calibration set.
        MGHFTError: the set cannot be written.
    """
    _refuse_to_replace_other_things(output)
    dataset = sample.dataset
    with replacing_folder(output) as root:
        entries = []
        for sticker, place in zip(sample.stickers, _places(sample.stickers), strict=True):
            copy = root / place
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(sticker.image, copy)
            entries.append(
                StickerEntry(
                    path=place,
                    sha256=sha256(copy),
                    bytes=copy.stat().st_size,
                    source=source_path(sticker, dataset.root),
                    topic=sticker.topic,
                    label=dataset.class_names[sticker.label],
                    text=sticker.text,
                )
            )
        manifest = make_manifest(
            entries,
            data_set=name or dataset.root.resolve().name,
            seed=sample.seed,
            class_names=dataset.class_names,
        )
        write_manifest(root, manifest)
    return CalibrationSet(output, manifest)


def _places(stickers: Sequence[Sticker]) -> list[str]:
    """A path ``images/<topic>/<file>`` for each sticker. No two differ only in case, which some file systems ignore."""
    places: dict[str, str] = {}
    for sticker in stickers:
        # A topic may be any string: "..", "a/b", or longer than a file name may be.
        topic = re.sub(r"[^\w.-]", "_", sticker.topic).strip(".")[:60] or NO_TOPIC
        place, number = f"images/{topic}/{sticker.image.name}", 1
        while place.casefold() in places:
            number += 1
            place = f"images/{topic}/{sticker.image.stem}-{number}{sticker.image.suffix}"
        places[place.casefold()] = place
    return list(places.values())


def _refuse_to_replace_other_things(output: Path) -> None:
    """A mistyped ``-o`` must not cost a data set or a bundle."""
    if not output.is_dir() or not any(output.iterdir()):
        return
    try:
        read_manifest(output)
    except DataError as error:
        raise DataError(
            f"{output} has something in it that is not a calibration set; choose another place with -o"
        ) from error
