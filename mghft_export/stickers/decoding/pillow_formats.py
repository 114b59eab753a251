"""Decode AVIF, BMP, PNM and TIFF, which Pillow reads as browsers and viewers do."""

from __future__ import annotations

import ctypes
import io
import re
from contextlib import suppress
from functools import cache, partial

from PIL import BmpImagePlugin, Image, ImageFile, PpmImagePlugin, TiffImagePlugin, _imaging

from mghft_export.stickers.decoding.decoded import NamelessError, Opened
from mghft_export.stickers.decoding.orientation import orientation_of

_EXIF_ITEM = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))Exif", re.DOTALL)
"""An item entry of version 2 or 3 (ISO/IEC 14496-12, 8.11.6): flags, the item's number, protection and kind."""


class UnknownRangeError(NamelessError):
    """The samples have an unknown range: nobody knows which values are black and white."""

    def __init__(self) -> None:
        super().__init__("holds floating-point or 32-bit values of unknown range; save it as an 8-bit PNG")


def open_avif(content: bytes) -> Opened:
    """Open an AVIF. Raises ImportError if this Pillow cannot read it; Pillow 11.3 and later can."""
    from PIL import AvifImagePlugin

    # Pillow refuses a file with damaged EXIF, so the EXIF item is renamed to an unknown kind.
    image = AvifImagePlugin.AvifImageFile(io.BytesIO(_EXIF_ITEM.sub(rb"\1none", content)))
    # Pillow writes the container's rotation into this block. Browsers use only this rotation.
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
    """Open the first page. Pillow turns it upright."""
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
    """Stop libtiff's messages about a file on stderr, since Pillow has no way to do so."""
    with suppress(
        AttributeError, OSError
    ):  # libtiff cannot be reached if it is a part of Pillow's own library
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
