"""Which image files are meant: files themselves, folders, and lists of names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from mghft_export.errors import StickerError

SUFFIXES = frozenset(
    (
        ".apng",
        ".avif",
        ".bmp",
        ".gif",
        ".jfif",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    )
)
"""Of the files of a folder that are images."""

STANDARD_INPUT = Path("-")


def images_below(folder: Path) -> list[Path]:
    """All images below a folder, sorted; hidden files are none, for systems keep their own notes beside images."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def images_of(places: Iterable[Path], names: BinaryIO) -> list[Path]:
    """The images that are meant, in order, each as often as it is named.

    Args:
        places: files as they are; folders stand for all images below them; `-` for the names in `names`.
        names: one a line; or each ended by a zero byte, where there is one, as `find -print0` writes them.

    Raises:
        StickerError: a folder has no image, or there are no names at all.
    """
    found: list[Path] = []
    for place in places:
        if place == STANDARD_INPUT:
            found += _listed(names)
        elif os.path.isdir(place):  # noqa: PTH112 (never raises: what cannot be looked at is named when it is read)
            inside = images_below(place)
            if not inside:
                raise StickerError(
                    f"the folder {place} has no images; give one that has some, or image files"
                )
            found += inside
        else:
            found.append(place)
    return found


def _listed(names: BinaryIO) -> list[Path]:
    content = names.read()
    lines = (
        content.split(b"\0") if b"\0" in content else [line.rstrip(b"\r") for line in content.split(b"\n")]
    )
    listed = [Path(os.fsdecode(line)) for line in lines if line]
    if not listed:
        raise StickerError("there are no names of images on standard input; write one a line")
    return listed
