"""The images of a sticker that the model gets: one image, or three frames of an animation, of a bounded size."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from mghft_export.stickers.image import frame_count, open_sticker

LARGEST_SIDE = 768
"""Most pixels of a side; more than most stickers have. In Qwen2.5-VL, with 28 x 28 pixels a token, 27 x 27 tokens."""

SMALLEST_SIDE = 56
"""Pixels that a shorter side is enlarged to. Qwen's processors refuse sides below 28 (two patches of 14), and a model
sees more of an enlarged icon."""

Frames = tuple[Image.Image, ...]


def sticker_frames(path: Path, *, background: str = "white", largest_side: int = LARGEST_SIDE) -> Frames:
    """The first, middle and last frame of an animation, or the one image of a still sticker; RGB.

    Raises:
        StickerError: the file cannot be read as an image, or the background is not a colour.
    """
    frames = frame_count(path)
    numbers = sorted({0, frames // 2, frames - 1})
    return tuple(
        _of_bounded_size(open_sticker(path, background=background, frame=number), largest_side)
        for number in numbers
    )


def _of_bounded_size(image: Image.Image, largest_side: int) -> Image.Image:
    scale = min(largest_side / max(image.size), max(1.0, SMALLEST_SIDE / min(image.size)))
    if scale == 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)
