"""What takes the place of a sticker's image or text, to see what the other one does alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from mghft_export.bundle import ImageEntry
from mghft_export.stickers.views import VIEWS, split_views


def blank_image(image: ImageEntry) -> Image.Image:
    """Nothing but the colour that transparent stickers are put on, in the model's size."""
    return Image.new("RGB", (image.width, image.height), image.background)


def noise_image(image: ImageEntry, seed: int, number: int) -> Image.Image:
    """Random pixels, the same ones for the same seed and number of a sticker."""
    shape = (image.height, image.width, 3)
    pixels = np.random.default_rng((seed, number)).integers(256, size=shape, dtype=np.uint8)
    return Image.fromarray(pixels)


def random_order(count: int, seed: int) -> npt.NDArray[np.intp]:
    """Numbers below `count` in random order.

    Each one's predecessor, the last one's being that of the first, is another sticker; no two share one.
    """
    return np.random.default_rng(seed).permutation(count)


def single_view(text: str, view: str) -> str | None:
    """The part of a text that is one of :data:`~mghft_export.stickers.views.VIEWS`; None where it has no such part.

    Raises:
        StickerError: the text is empty.
    """
    split = split_views(text)
    return None if view in split.missing else split.views[VIEWS.index(view)]
