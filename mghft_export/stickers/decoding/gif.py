"""GIF: this module reads the blocks, and Pillow decodes single frames. A pixel that no frame draws is transparent."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mghft_export.stickers.decoding.canvas import Area, Pixels, composed, pixels_to
from mghft_export.stickers.decoding.decoded import Opened

SIGNATURES = b"GIF87a", b"GIF89a"

_EXTENSION, _IMAGE, _CONTROL = 0x21, 0x2C, 0xF9
_DISPOSE = {2: "clear", 3: "restore", 4: "restore"}
"""All other values keep the frame. 4 is the mistake of an old program, and browsers treat it as 3."""


@dataclass(frozen=True)
class _Frame:
    area: Area
    palette: bytes
    """Empty if the file has no palette; the colours are then greys."""
    transparent: int | None
    interlaced: bool
    bits: int
    """Size of the first code in bits."""
    data: bytes
    """The blocks of coded data, with their lengths."""


def open_gif(content: bytes) -> Opened:
    """Open a GIF. Raises ValueError if it has no frame."""
    width, height, flags = struct.unpack_from("<HHB", content, 6)
    colours = _palette_bytes(flags)
    frames = _frames(content, 13 + colours, content[13 : 13 + colours])
    if not frames:
        raise ValueError("no frame")
    # A first frame that is larger than the canvas widens it. Later frames are cut.
    first = frames[0].area
    width, height = max(width, first.x + first.width), max(height, first.y + first.height)
    areas = [frame.area for frame in frames]

    def read(index: int) -> Image.Image:
        return composed(areas, index, width, height, lambda number: _pixels(frames[number]))

    return Opened(
        width, height, read, frames=len(frames), cost=lambda index: pixels_to(areas, index, width, height)
    )


def _palette_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _frames(content: bytes, at: int, shared: bytes) -> list[_Frame]:
    """All whole frames, and the first frame even if its end is missing."""
    frames: list[_Frame] = []
    dispose, transparent = 0, None
    while at < len(content):
        if content[at] == _EXTENSION:
            if content[at + 1 : at + 3] == bytes([_CONTROL, 4]) and at + 7 <= len(content):
                flags, index = content[at + 3], content[at + 6]
                dispose, transparent = flags >> 2 & 7, index if flags & 1 else None
            end = _blocks_end(content, at + 2)
            if end is None:
                break
            at = end
        elif content[at] == _IMAGE and at + 11 <= len(content):
            x, y, width, height, flags = struct.unpack_from("<HHHHB", content, at + 1)
            start = at + 10 + _palette_bytes(flags)
            own = content[at + 10 : start]
            end = _blocks_end(content, start + 1)
            if not width or not height or (end is None and frames) or start >= len(content):
                break
            area = Area(x, y, width, height, _DISPOSE.get(dispose, "keep"), False)  # type: ignore[arg-type]
            data = content[start + 1 : end]
            frames.append(_Frame(area, own or shared, transparent, bool(flags & 0x40), content[start], data))
            if end is None:
                break
            dispose, transparent, at = 0, None, end
        else:
            break  # the trailer, or an unknown block
    return frames


def _blocks_end(content: bytes, at: int) -> int | None:
    """The position after the empty block that ends the blocks; None if it is missing."""
    while at < len(content):
        if content[at] == 0:
            return at + 1
        at += 1 + content[at]
    return None


def _pixels(frame: _Frame) -> Pixels:
    if not 1 <= frame.bits <= 8:
        raise ValueError("unknown size of codes")
    size = frame.area.width, frame.area.height
    image = Image.frombytes("L", size, frame.data, "gif", frame.bits, int(frame.interlaced), -1)
    table = np.zeros((256, 4), np.uint8)
    if frame.palette:
        # Colours that the palette lacks are not drawn.
        colours = np.frombuffer(frame.palette, np.uint8)
        colours = colours[: len(colours) // 3 * 3].reshape(-1, 3)
        table[: len(colours)] = np.pad(colours, ((0, 0), (0, 1)), constant_values=255)
    else:
        table[:] = np.arange(256)[:, None]
        table[:, 3] = 255
    if frame.transparent is not None:
        table[frame.transparent] = 0
    pixels: Pixels = table[np.asarray(image)]
    return pixels
