"""An RGB image becomes the array the vision branch reads, value for value as in the released evaluation.

Released, for a side of S pixels: torchvision's ``Resize(int(S / 0.875), BICUBIC)`` of a Pillow image,
``CenterCrop(S)``, ``ToTensor``, ``Normalize``. Here: the same with Pillow and numpy alone, and for targets
that are not square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from mghft_export.errors import StickerError

FloatArray = npt.NDArray[np.float32]
Colour = tuple[float, float, float]

MAX_RESIZED_PIXELS = 2**24
"""Largest image resized whole, 64 MiB: at 512 pixels high, one 64 times as wide."""


@dataclass(frozen=True)
class ImagePreprocessing:
    """How an image is brought to the model's size and range; the defaults are the released evaluation's.

    Raises:
        ValueError: a size below 1 or a crop fraction outside (0, 1].
    """

    height: int
    """Pixels."""
    width: int
    """Pixels."""
    crop_fraction: float = 224 / 256
    """Share of each side that the centre crop keeps where the image has the target's shape."""
    mean: Colour = (0.485, 0.456, 0.406)
    """Per channel, of values in 0..1 (ImageNet, as in timm's ``IMAGENET_DEFAULT_MEAN``)."""
    std: Colour = (0.229, 0.224, 0.225)
    """Per channel, of values in 0..1 (ImageNet, as in timm's ``IMAGENET_DEFAULT_STD``)."""

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"an image cannot be {self.height} x {self.width} pixels")
        if not 0 < self.crop_fraction <= 1:
            raise ValueError(f"crop_fraction must be above 0 and at most 1, not {self.crop_fraction}")


def preprocess(image: Image.Image, spec: ImagePreprocessing) -> FloatArray:
    """Resize, crop the centre, scale to 0..1 and normalise.

    Args:
        image: RGB, of any size.

    Returns:
        ``[3, H, W]``.

    Raises:
        StickerError: the image is not RGB.
    """
    if image.mode != "RGB":
        raise StickerError(f"the image has mode {image.mode}, not RGB; read it with open_sticker")
    pixels = np.asarray(resize_and_crop(image, spec), dtype=np.float32)  # [H, W, 3]
    channels_first = pixels.transpose(2, 0, 1) / np.float32(255)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (spec.mean, spec.std))
    return np.ascontiguousarray((channels_first - mean) / std)


def preprocess_batch(images: Sequence[Image.Image], spec: ImagePreprocessing) -> FloatArray:
    """:func:`preprocess` of each image: ``[B, 3, H, W]``.

    Raises:
        StickerError: there are no images, or one is not RGB.
    """
    if not images:
        raise StickerError("there are no images to preprocess; give at least one")
    return np.stack([preprocess(image, spec) for image in images])


def resize_and_crop(image: Image.Image, spec: ImagePreprocessing) -> Image.Image:
    """The centre, of the target's size, of the image resized to cover the target / ``crop_fraction``."""
    width, height = resized_size(image.size, spec)
    # Python's rounding of halves to even is torchvision's, too.
    left, top = round((width - spec.width) / 2), round((height - spec.height) / 2)
    if width * height <= MAX_RESIZED_PIXELS:
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        return resized.crop((left, top, left + spec.width, top + spec.height))
    # A strip of 10,000 x 1 pixels would become 5,120,000 x 512, so only what the crop keeps is computed.
    columns = _source_span(left, spec.width, width, image.width)
    rows = _source_span(top, spec.height, height, image.height)
    region = image.crop((columns.start, rows.start, columns.stop, rows.stop))
    # Pillow resizes a whole image's rows first and its columns second, but a cut one's as is cheaper (Pillow 13);
    # between the two passes it rounds and clips, so the order counts and is set here.
    wide = (columns.low, 0, columns.high, region.height)
    region = region.resize((spec.width, region.height), Image.Resampling.BICUBIC, wide)
    return region.resize(
        (spec.width, spec.height), Image.Resampling.BICUBIC, (0, rows.low, spec.width, rows.high)
    )


@dataclass(frozen=True)
class _SourceSpan:
    """The source pixels along one axis that some resized ones are computed from."""

    start: int
    stop: int
    """Whole pixels, with those that the kernel reaches beyond the exact span."""
    low: float
    high: float
    """The exact span, counted from ``start``."""


def _source_span(first: int, count: int, resized: int, length: int) -> _SourceSpan:
    """Where ``count`` pixels from ``first`` of an axis lie that is resized from ``length`` to ``resized`` pixels.

    Pillow holds the exact span in single precision, which may move a value by one level in 255: the reason why
    images of common shapes are resized whole.
    """
    scale = length / resized
    low, high = first * scale, min((first + count) * scale, length)
    reach = 2 * max(scale, 1)  # of the bicubic kernel, which is widened where it shrinks an image
    start, stop = max(0, math.floor(low - reach)), min(length, math.ceil(high + reach))
    return _SourceSpan(start, stop, low - start, high - start)


def resized_size(size: tuple[int, int], spec: ImagePreprocessing) -> tuple[int, int]:
    """Width and height after the resize, in pixels.

    One side becomes the target's divided by ``crop_fraction``; the other follows in proportion and covers its
    own. Both are rounded down. For a square target this is torchvision's rule: the short side is fixed.
    """
    width, height = size
    least_width, least_height = int(spec.width / spec.crop_fraction), int(spec.height / spec.crop_fraction)
    if least_width * height >= least_height * width:
        return least_width, int(least_width * height / width)
    return int(least_height * width / height), least_height
