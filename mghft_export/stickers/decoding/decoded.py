"""The result of every decoder: the size, the number of frames, and a function that reads one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from mghft_export.errors import StickerError


class NamelessError(StickerError):
    """The end of a sentence that begins with the file's name. Decoders do not know the name; the caller adds it."""


@dataclass(frozen=True)
class Opened:
    """A file after its header was read and before its pixels are."""

    width: int
    height: int
    read: Callable[[int], Image.Image]
    """Reads one frame by its number, in the file's own mode and not yet turned."""
    frames: int = 1
    cost: Callable[[int], int] | None = None
    """How many pixels are decoded to get to a frame, including that frame. By default all frames before it count."""
    orientation: int = 1
    """Orientation as EXIF counts it, 1 to 8."""
    profile: bytes | None = None
    """The ICC profile of its colours."""

    def pixels_to(self, index: int) -> int:
        return self.cost(index) if self.cost else (index + 1) * self.width * self.height
