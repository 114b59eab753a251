"""AVIF, BMP, PNM and TIFF, which Pillow reads as browsers and viewers do."""

from __future__ import annotations

import ctypes
import io
import re
from contextlib import suppress
from functools import cache, partial

from PIL import BmpImagePlugin, Image, ImageFile, PpmImagePlugin, TiffImagePlugin, _imaging

from mghft_export.stickers.decoding.opened import NamelessError, Opened
from mghft_export.stickers.decoding.orientation import orientation_of

_EXIF_ITEM = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))Exif", re.DOTALL)
"""Of version 2 or 3 (ISO/IEC 14496-12, 8.11.6): flags, the item's number, its protection, its kind."""


class UnknownRangeError(NamelessError):
    """Samples whose black and white nobody knows."""

    def __init__(self) -> None:
        super().__init__("holds floating-point or 32-bit values of unknown range; save it as an 8-bit PNG")


def open_avif(content: bytes) -> Opened:
    """Raises ImportError where this Pillow has no AVIF; it came with Pillow 11.3."""
    from PIL import AvifImagePlugin

    # Pillow refuses the file where its EXIF is damaged, so that is renamed to something that nobody knows.
    image = AvifImagePlugin.AvifImageFile(io.BytesIO(_EXIF_ITEM.sub(rb"\1none", content)))
    # Pillow writes the turn that the container demands into this block; browsers see no other.
    orientation = orientation_of([image.info.get("exif", b"")], [])
    return Opened(
        image.width,
        image.height,
        partial(_frame, image),
        frames=image.n_frames,
        orientation=orientation,
        profile=image.info.get("icc_profile"),
    )


def open_bmp(content: bytes) -> Opened:
    return _still(BmpImagePlugin.BmpImageFile(io.BytesIO(content)))


def open_pnm(content: bytes) -> Opened:
    return _still(PpmImagePlugin.PpmImageFile(io.BytesIO(content)))


def open_tiff(content: bytes) -> Opened:
    """The first page; Pillow turns it."""
    _quiet_libtiff()
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(content))
    if image.mode in ("F", "I"):
        raise UnknownRangeError
    return _still(image)


def _still(image: ImageFile.ImageFile) -> Opened:
    return Opened(image.width, image.height, partial(_frame, image), profile=image.info.get("icc_profile"))


def _frame(image: ImageFile.ImageFile, index: int) -> Image.Image:
    if index:
        image.seek(index)
    image.load()
    return image


@cache
def _quiet_libtiff() -> None:
    """libtiff writes to stderr what it thinks of a file, and Pillow has no way to stop it."""
    with suppress(
        AttributeError, OSError
    ):  # where libtiff is a part of Pillow's own library, it cannot be reached
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
