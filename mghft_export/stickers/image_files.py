"""Find the image files that a user means: files, folders and lists of names."""

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
"""Suffixes by which images are found in a folder."""

STANDARD_INPUT = Path("-")


def images_below(folder: Path) -> list[Path]:
    """All images below a folder, sorted. Hidden files do not count: systems keep their own files beside images."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def images_of(places: Iterable[Path], names: BinaryIO) -> list[Path]:
    """The images that the user means, in order. An image that is named twice occurs twice.

    Args:
        places: a file stands for itself, a folder for all images below it, and `-` for the names in `names`.
        names: names of images, one on each line. If there is a zero byte, each name ends with one, as `find -print0`
            writes them.

    Raises:
        StickerError: a folder has no image, or there are no names at all.
    """
    found: list[Path] = []
    for place in places:
        if place == STANDARD_INPUT:
            found += _listed(names)
        elif os.path.isdir(place):  # noqa: PTH112 (never raises: an unreadable path gives an error when it is read)
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
