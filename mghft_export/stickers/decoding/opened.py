"""What every decoder hands over: the size, the frames, and how one of them is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from mghft_export.errors import StickerError


class NamelessError(StickerError):
    """The end of a sentence that is to begin with the file's name, which decoders do not know."""


@dataclass(frozen=True)
class Opened:
    """A file whose header was read and whose pixels were not."""

    width: int
    height: int
    read: Callable[[int], Image.Image]
    """One frame by its number, in whatever mode the file has, not yet turned."""
    frames: int = 1
    cost: Callable[[int], int] | None = None
    """How many pixels are decoded on the way to a frame, that frame included; by default every frame is a whole one."""
    orientation: int = 1
    """As EXIF counts them, 1 to 8."""
    profile: bytes | None = None
    """The ICC profile of its colours."""

    def pixels_to(self, index: int) -> int:
        return self.cost(index) if self.cost else (index + 1) * self.width * self.height
