"""WebP: Pillow's decoder gets only the chunks that pixels need, in a container with the right length."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image, WebPImagePlugin

from mghft_export.stickers.decoding.decoded import Opened
from mghft_export.stickers.decoding.orientation import orientation_of

_PIXELS = (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # VP8X flags of profile, EXIF and XMP


def is_webp(content: bytes) -> bool:
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def open_webp(content: bytes) -> Opened:
    """Open a WebP. Raises Pillow's errors if the header is damaged."""
    exif: list[bytes] = []
    xmp: list[bytes] = []
    kept: list[bytes] = []
    icc = None
    for kind, data in _chunks(content):
        if kind == b"EXIF":
            exif.append(data)
        elif kind == b"XMP ":
            xmp.append(data)
        elif kind == b"ICCP":
            icc = data
        elif kind == b"VP8X" and data and not kept:
            kept.append(_chunk(kind, bytes([data[0] & ~_METADATA_FLAGS]) + data[1:]))
        elif kind in _PIXELS:
            kept.append(_chunk(kind, data))
    body = b"WEBP" + b"".join(kept)
    image = WebPImagePlugin.WebPImageFile(io.BytesIO(b"RIFF" + len(body).to_bytes(4, "little") + body))

    def read(index: int) -> Image.Image:
        image.seek(index)
        image.load()
        return image

    return Opened(
        image.width,
        image.height,
        read,
        frames=getattr(image, "n_frames", 1),
        orientation=orientation_of(exif[:1], xmp[:1]),
        profile=icc,
    )


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(content):
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        yield content[at : at + 4], content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)
