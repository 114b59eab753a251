"""Which way up an image is: its EXIF says so, or else its XMP. Damaged blocks are ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable

from PIL import Image

EXIF_PREFIX = b"Exif\0\0"
"""Prefix of the block in JPEG. Some programs also write it into PNG and WebP, and some write it twice."""

_ORIENTATION, _SHORT, _LONG = 0x112, 3, 4  # EXIF 2.3, 4.6.4
_XMP = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])\s*["'<]""")
_PROFILE = re.compile(rb"\s*\S+\s+\d+\s((?:[0-9a-fA-F]{2}|\s)*)\s*\0*\Z")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def orientation_of(exif: Iterable[bytes], xmp: Iterable[bytes]) -> int:
    """The orientation in the first block that has one, EXIF before XMP; 1 if no block has one."""
    found = [*map(exif_orientation, exif), *map(xmp_orientation, xmp)]
    return next((value for value in found if value is not None), 1)


def exif_orientation(block: bytes) -> int | None:
    """The orientation, 1 to 8. As browsers demand, the entry must be one whole number; otherwise None."""
    while block.startswith(EXIF_PREFIX):
        block = block[len(EXIF_PREFIX) :]
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return None
    order = "little" if block[:2] == b"II" else "big"

    def number(at: int, size: int) -> int | None:
        part = block[at : at + size]
        return int.from_bytes(part, order) if len(part) == size else None  # type: ignore[arg-type]

    directory = number(4, 4)
    if directory is None:
        return None
    for entry in range(number(directory, 2) or 0):
        at = directory + 2 + 12 * entry
        tag, kind, count = number(at, 2), number(at + 2, 2), number(at + 4, 4)
        if count is None:
            return None
        if tag == _ORIENTATION:
            value = number(at + 8, 4 if kind == _LONG else 2)
            known = kind in (_SHORT, _LONG) and count == 1 and value is not None and 1 <= value <= 8
            return value if known else None
    return None


def xmp_orientation(packet: bytes) -> int | None:
    """The orientation from ``tiff:Orientation``, which may be an attribute or an element."""
    found = _XMP.search(packet)
    return int(found[1]) if found else None


def raw_profile(text: bytes) -> bytes:
    """The block that ImageMagick and exiftool write into a PNG's text: a name, a length and hexadecimal digits."""
    found = _PROFILE.match(text)
    return bytes.fromhex(found[1].decode()) if found else b""
