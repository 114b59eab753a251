"""JPEG: Pillow's decoder gets only the segments that pixels need, so that metadata cannot disturb it."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image, JpegImagePlugin

from mghft_export.stickers.decoding.decoded import Opened
from mghft_export.stickers.decoding.orientation import EXIF_PREFIX, orientation_of

SIGNATURE = b"\xff\xd8\xff"

_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_ICC_PREFIX = b"ICC_PROFILE\0"
_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _ADOBE, _COMMENT = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE
_END = b"\xff\xd9"
_FRAME_STARTS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_OTHER_END = b"\x5a" * 4096 + _END
"""Arbitrary coded data to end a cut file with. Pixels that depend on it were not in the file."""


def open_jpeg(content: bytes) -> Opened:
    """Open a JPEG. Raises ValueError if it has no size or no pixels."""
    exif: list[bytes] = []
    xmp: list[bytes] = []
    icc: dict[int, bytes] = {}
    kept = [b"\xff\xd8"]
    width = height = bands = 0
    pixels = None
    for marker, start, data in _segments(content):
        if marker == _SOS:
            pixels = start
            break
        if marker in _FRAME_STARTS and len(data) >= 6 and not width:
            height, width = int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big")
            bands = data[5]
        if marker == _APP1 and data.startswith(EXIF_PREFIX):
            exif.append(data)
        elif marker == _APP1 and data.startswith(_XMP_PREFIX):
            xmp.append(data[len(_XMP_PREFIX) :])
        elif marker == _APP2 and data.startswith(_ICC_PREFIX) and len(data) > 14:
            icc.setdefault(data[12], data[14:])
        if marker in (_APP0, _ADOBE) or not (_APP0 <= marker <= _APP0 + 15 or marker == _COMMENT):
            kept.append(content[start : start + 4] + data)
    if pixels is None or not width or not height:
        raise ValueError("no pixels")
    stream = b"".join(kept) + content[pixels:]
    return Opened(
        width,
        height,
        lambda _: _decode(stream, ends=content.find(_END, pixels) >= 0),
        orientation=orientation_of(exif[:1], xmp[:1]),
        profile=b"".join(icc[number] for number in sorted(icc)) if icc and bands != 1 else None,
    )


def _segments(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Marker, position and data of each segment, up to the start of the first scan, which is included."""
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:  # padding between segments
            at += 1
            continue
        marker = content[at + 1]
        if marker in (0xFF, 0x00, 0x01) or 0xD0 <= marker <= _SOI:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == _EOI or length < 2:
            return
        yield marker, at, content[at + 4 : at + 2 + length]
        at += 2 + length


def _decode(stream: bytes, *, ends: bool) -> Image.Image:
    if ends:
        return _loaded(stream)
    stream = stream.rstrip(b"\xff")  # half of the end marker
    image = _loaded(stream + _END)
    if image.tobytes() != _loaded(stream + _OTHER_END).tobytes():
        raise ValueError("cut short")
    return image


def _loaded(stream: bytes) -> Image.Image:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(stream))
    image.load()
    return image
