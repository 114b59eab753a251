"""PNG and animated PNG: this module reads the chunks, and Pillow decodes the pixels of single frames.

Other data (texts, profiles, and the checksums of both) can be damaged or large without harm to the pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from PIL import Image

from mghft_export.stickers.decoding.canvas import Area, Pixels, composed, pixels_to
from mghft_export.stickers.decoding.decoded import Opened
from mghft_export.stickers.decoding.orientation import orientation_of, raw_profile

SIGNATURE = b"\x89PNG\r\n\x1a\n"

MAX_METADATA = 2**22
"""Most bytes of a compressed text or profile: 4 MiB. Profiles of printers have 2 MiB."""

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_MODES = {
    (_GREY, 1): ("1", "1"),
    (_GREY, 2): ("L", "L;2"),
    (_GREY, 4): ("L", "L;4"),
    (_GREY, 8): ("L", "L"),
    (_GREY, 16): ("I;16", "I;16B"),
    (_RGB, 8): ("RGB", "RGB"),
    (_RGB, 16): ("RGB", "RGB;16B"),
    (_PALETTE, 1): ("P", "P;1"),
    (_PALETTE, 2): ("P", "P;2"),
    (_PALETTE, 4): ("P", "P;4"),
    (_PALETTE, 8): ("P", "P"),
    (_GREY_ALPHA, 8): ("LA", "LA"),
    (_GREY_ALPHA, 16): ("RGBA", "LA;16B"),
    (_RGBA, 8): ("RGBA", "RGBA"),
    (_RGBA, 16): ("RGBA", "RGBA;16B"),
}
"""Colour type and depth -> Pillow's mode and the layout of a row. Of 16 bits per channel the upper 8 count."""

_LOWER_BYTES = "RGB;16L"
"""The layout that takes the lower byte of each 16-bit channel."""

_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Adam7: first column, first row, column step, row step."""

_DISPOSE = ("keep", "clear", "restore")


@dataclass
class _Png:
    """The content of the chunks."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    palette: bytes = b""
    transparent: bytes = b""
    announced: bool = False
    """Whether the file says that it is an animation."""
    still: list[bytes] = field(default_factory=list)
    """The data of the image that every PNG has."""
    areas: list[Area] = field(default_factory=list)
    data: list[list[bytes]] = field(default_factory=list)
    exif: list[bytes] = field(default_factory=list)
    profiles: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    icc: bytes | None = None
    is_srgb: bool = False


def open_png(content: bytes) -> Opened:
    """Open a PNG. Raises ValueError if chunks that pixels need are missing or damaged."""
    png = _parse(content)
    size = png.width, png.height
    animated = png.announced and bool(png.areas)

    def read(index: int) -> Image.Image:
        if not animated:
            return _decode(png, size, png.still)
        return composed(png.areas, index, *size, lambda number: _pixels(png, number))

    return Opened(
        *size,
        read,
        frames=len(png.areas) if animated else 1,
        cost=partial(_cost, png) if animated else None,
        orientation=orientation_of([*png.exif, *png.profiles], png.xmp),
        # A profile for grey would need its own transform, and browsers differ on it.
        profile=png.icc if png.colour not in (_GREY, _GREY_ALPHA) and not png.is_srgb else None,
    )


def _cost(png: _Png, index: int) -> int:
    return pixels_to(png.areas, index, png.width, png.height)


def _parse(content: bytes) -> _Png:
    png: _Png | None = None
    frame: list[bytes] | None = None  # the data of the frame that is being read
    over = False  # whether no more frames count
    for kind, data, whole, sound in _chunks(content):
        needed = kind[:1].isupper() or kind == b"fdAT"
        if not sound:
            if needed and whole:
                raise ValueError(f"the checksum of {kind!r} is wrong")
            if not needed:
                continue
        if png is None:
            if kind != b"IHDR":
                raise ValueError("no header")
            png = _header(data)
        elif kind == b"IDAT":
            png.still.append(data)
            if frame is not None:
                frame.append(data)
        elif kind == b"PLTE" and not png.palette:
            png.palette = data
        elif kind == b"tRNS" and not png.still:
            png.transparent = data
        elif kind == b"acTL" and not png.still:
            png.announced = len(data) == 8 and data[:4] != b"\0\0\0\0"
        elif kind == b"fcTL" and png.announced and not over:
            area = _area(data, png)
            over = area is None
            frame = None
            if area is not None:
                frame = []
                png.areas.append(area)
                png.data.append(frame)
        elif kind == b"fdAT" and frame is not None:
            if whole:
                frame.append(data[4:])
            else:
                frame.clear()
        elif kind[:1].isupper() and kind not in (b"PLTE", b"IHDR"):
            raise ValueError(f"{kind!r} is unknown and needed")
        else:
            _take_metadata(png, kind, data)
    if png is None or not png.still:
        raise ValueError("no pixels")
    while png.data and not png.data[-1]:  # cut off before its data
        png.data.pop()
        png.areas.pop()
    if not all(png.data):
        raise ValueError("a frame without data")
    return png


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bool, bool]]:
    """Each chunk up to the end chunk: kind, data, whether the data are complete, and whether the checksum is right."""
    at = len(SIGNATURE)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        data = content[at + 8 : at + 8 + length]
        checksum = content[at + 8 + length : at + 12 + length]
        whole = len(checksum) == 4
        if kind == b"IEND":
            return
        yield (
            kind,
            data,
            whole,
            whole and zlib.crc32(data, zlib.crc32(kind)) == int.from_bytes(checksum, "big"),
        )
        at += 12 + length


def _header(data: bytes) -> _Png:
    width, height, depth, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", data)
    if (colour, depth) not in _MODES or compression or filters or interlace > 1 or not width or not height:
        raise ValueError("unknown header")
    return _Png(width, height, depth, colour, bool(interlace))


def _area(data: bytes, png: _Png) -> Area | None:
    """The area of a frame; None if the frame is invalid. Frames before an invalid one still count."""
    if len(data) != 26:
        return None
    _, width, height, x, y, _, _, dispose, blend = struct.unpack(">IIIIIHHBB", data)
    inside = 0 < width <= png.width - x and 0 < height <= png.height - y
    # The first image of the file must have the size of the canvas, whether it is a frame or not.
    whole = (x, y, width, height) == (0, 0, png.width, png.height)
    if not inside or dispose > 2 or blend > 1 or not (png.still or whole):
        return None
    return Area(x, y, width, height, _DISPOSE[dispose], blend == 0)  # type: ignore[arg-type]


def _take_metadata(png: _Png, kind: bytes, data: bytes) -> None:
    if kind == b"eXIf":
        png.exif.append(data)
    elif kind == b"sRGB":
        png.is_srgb = True
    elif kind == b"iCCP" and png.icc is None:
        png.icc = _inflated(data.partition(b"\0")[2][1:])
    elif kind in (b"tEXt", b"zTXt", b"iTXt"):
        keyword, _, text = data.partition(b"\0")
        if keyword in (b"Raw profile type exif", b"Raw profile type APP1") and kind != b"iTXt":
            png.profiles.append(raw_profile(_inflated(text[1:]) if kind == b"zTXt" else text))
        elif keyword == b"XML:com.adobe.xmp" and kind == b"iTXt":
            packet = text[2:].partition(b"\0")[2].partition(b"\0")[2]
            png.xmp.append(_inflated(packet) if text[:1] == b"\1" else packet)


def _inflated(data: bytes) -> bytes:
    """The decompressed data, at most :data:`MAX_METADATA` bytes; empty if they are damaged."""
    try:
        return zlib.decompressobj().decompress(data, MAX_METADATA)
    except zlib.error:
        return b""


def _pixels(png: _Png, number: int) -> Pixels:
    area = png.areas[number]
    return np.asarray(_decode(png, (area.width, area.height), png.data[number]).convert("RGBA"))


def _decode(png: _Png, size: tuple[int, int], parts: list[bytes]) -> Image.Image:
    """Decode one frame by itself, to L, LA, RGB or RGBA. A transparent colour becomes an alpha channel."""
    data = b"".join(parts)
    mode, layout = _MODES[png.colour, png.depth]
    image = _unpacked(png, size, data, mode, layout)
    if png.colour == _PALETTE:
        return _coloured(image, png.palette, png.transparent)
    if png.colour == _GREY:
        grey = np.asarray(image)
        top = 2**png.depth - 1
        levels = (grey >> 8 if png.depth == 16 else grey * np.uint8(255) if png.depth == 1 else grey).astype(
            np.uint8
        )
        shown = Image.fromarray(levels)
        if len(png.transparent) >= 2:
            value = int.from_bytes(png.transparent[:2], "big")
            # Pillow scales 2 and 4 bits to 8.
            sample = value if png.depth == 16 else value * 255 // top if value <= top else -1
            samples = grey if png.depth == 16 else levels
            shown.putalpha(Image.fromarray(np.where(samples == sample, 0, 255).astype(np.uint8)))
        return shown
    if png.colour == _RGB and len(png.transparent) >= 6:
        wanted = np.frombuffer(png.transparent, ">u2", 3)
        if png.depth == 8:
            clear = (np.asarray(image) == wanted).all(axis=-1)
        else:
            lower = _unpacked(png, size, data, mode, _LOWER_BYTES)
            clear = (np.asarray(image) == wanted >> 8).all(axis=-1) & (np.asarray(lower) == wanted & 255).all(
                axis=-1
            )
        image.putalpha(Image.fromarray(np.where(clear, 0, 255).astype(np.uint8)))
    return image


def _coloured(image: Image.Image, palette: bytes, alphas: bytes) -> Image.Image:
    """Apply a palette. A colour that the palette lacks is black, as in libpng."""
    if not palette or len(palette) % 3:
        raise ValueError("no palette")
    table = np.zeros((256, 4), np.uint8)
    colours = np.frombuffer(palette[:768], np.uint8).reshape(-1, 3)
    table[: len(colours), :3] = colours
    table[:, 3] = 255
    table[: len(alphas), 3] = np.frombuffer(alphas[:256], np.uint8)
    return Image.fromarray((table if alphas else table[:, :3])[np.asarray(image)])


def _unpacked(png: _Png, size: tuple[int, int], data: bytes, mode: str, layout: str) -> Image.Image:
    """Decode with Pillow. It would draw missing rows black, and take a missing checksum for missing rows."""
    if len(data) < 2 or data[0] & 15 != 8 or int.from_bytes(data[:2], "big") % 31:
        raise ValueError("no compressed data")
    count = _row_bytes(png, size)
    rows = zlib.decompressobj(-zlib.MAX_WBITS).decompress(memoryview(data)[2:], count)
    if len(rows) < count:
        raise ValueError("rows are missing")
    return Image.frombytes(mode, size, zlib.compress(rows, 0), "zip", layout, int(png.interlaced))


def _row_bytes(png: _Png, size: tuple[int, int]) -> int:
    """Number of bytes of all rows. Each row begins with one byte for its filter."""
    bits = png.depth * _CHANNELS[png.colour]
    count = 0
    for x, y, step_x, step_y in _PASSES if png.interlaced else ((0, 0, 1, 1),):
        width, height = -(-(size[0] - x) // step_x), -(-(size[1] - y) // step_y)
        if width > 0 and height > 0:
            count += height * (1 + (width * bits + 7) // 8)
    return count
