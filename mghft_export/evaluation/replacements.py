"""Replacements of a sticker's image or text, to see what the other one does alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from mghft_export.bundle import ImageEntry
from mghft_export.stickers.views import VIEWS, split_views


def blank_image(image: ImageEntry) -> Image.Image:
    """An image of the model's size in the colour behind transparent stickers."""
    return Image.new("RGB", (image.width, image.height), image.background)


def noise_image(image: ImageEntry, seed: int, number: int) -> Image.Image:
    """Random pixels; the same seed and sticker number give the same pixels."""
    shape = (image.height, image.width, 3)
    pixels = np.random.default_rng((seed, number)).integers(256, size=shape, dtype=np.uint8)
    return Image.fromarray(pixels)


def random_order(count: int, seed: int) -> npt.NDArray[np.intp]:
    """Numbers below `count` in random order.

    The predecessor of each number is another sticker, and no two share one. The first follows the last.
    """
    return np.random.default_rng(seed).permutation(count)


def single_view(text: str, view: str) -> str | None:
    """The part of a text for one of :data:`~mghft_export.stickers.views.VIEWS`; None if the text lacks it.

    Raises:
        StickerError: the text is empty.
    """
    split = split_views(text)
    return None if view in split.missing else split.views[VIEWS.index(view)]
