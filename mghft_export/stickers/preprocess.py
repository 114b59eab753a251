"""Turn an RGB image into the array that the vision branch reads, with exactly the values of the released evaluation.

For a side of S pixels, the released code uses torchvision's ``Resize(int(S / 0.875), BICUBIC)`` of a Pillow image,
``CenterCrop(S)``, ``ToTensor`` and ``Normalize``. This module does the same with only Pillow and numpy, and also for
targets that are not square.
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
"""Most pixels of an image that is resized whole: 64 MiB, or 512 pixels high and 64 times as wide."""


@dataclass(frozen=True)
class ImagePreprocessing:
    """How an image is brought to the model's size and range. The defaults are those of the released evaluation.

    Raises:
        ValueError: a size is below 1, or the crop fraction is outside (0, 1].
    """

    height: int
    """Height of the model's input in pixels."""
    width: int
    """Width of the model's input in pixels."""
    crop_fraction: float = 224 / 256
    """Share of each side that the centre crop keeps if the image has the target's shape."""
    mean: Colour = (0.485, 0.456, 0.406)
    """Mean of each channel, for values in 0..1 (ImageNet, as in timm's ``IMAGENET_DEFAULT_MEAN``)."""
    std: Colour = (0.229, 0.224, 0.225)
    """Standard deviation of each channel, for values in 0..1 (ImageNet, as in timm's ``IMAGENET_DEFAULT_STD``)."""

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
    """Resize an image to cover the target size divided by ``crop_fraction``, and crop its centre to the target size."""
    width, height = resized_size(image.size, spec)
    # Python rounds halves to even, and so does torchvision.
    left, top = round((width - spec.width) / 2), round((height - spec.height) / 2)
    if width * height <= MAX_RESIZED_PIXELS:
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        return resized.crop((left, top, left + spec.width, top + spec.height))
    # A strip of 10,000 x 1 pixels would become 5,120,000 x 512, so only the pixels that the crop keeps are computed.
    columns = _source_span(left, spec.width, width, image.width)
    rows = _source_span(top, spec.height, height, image.height)
    region = image.crop((columns.start, rows.start, columns.stop, rows.stop))
    # Pillow resizes the rows of a whole image first and its columns second, but for a cut image it takes the cheaper
    # order (Pillow 13). It rounds and clips between the two passes, so the order matters and is fixed here.
    wide = (columns.low, 0, columns.high, region.height)
    region = region.resize((spec.width, region.height), Image.Resampling.BICUBIC, wide)
    return region.resize(
        (spec.width, spec.height), Image.Resampling.BICUBIC, (0, rows.low, spec.width, rows.high)
    )


@dataclass(frozen=True)
class _SourceSpan:
    """The source pixels along one axis that a span of resized pixels is computed from."""

    start: int
    stop: int
    """Whole pixels from ``start`` to ``stop``, including those that the kernel reads beyond the exact span."""
    low: float
    high: float
    """The exact span from ``low`` to ``high``, counted from ``start``."""


def _source_span(first: int, count: int, resized: int, length: int) -> _SourceSpan:
    """The source span of ``count`` pixels from ``first``, on an axis that is resized from ``length`` to ``resized``.

    Pillow stores the exact span in single precision, which may change a value by one level in 255. That is why images
    of common shapes are resized whole.
    """
    scale = length / resized
    low, high = first * scale, min((first + count) * scale, length)
    reach = 2 * max(scale, 1)  # the bicubic kernel's reach, which grows if the image shrinks
    start, stop = max(0, math.floor(low - reach)), min(length, math.ceil(high + reach))
    return _SourceSpan(start, stop, low - start, high - start)


def resized_size(size: tuple[int, int], spec: ImagePreprocessing) -> tuple[int, int]:
    """Width and height after the resize, in pixels.

    One side becomes the target's side divided by ``crop_fraction``. The other side follows in proportion, and is at
    least as long as the target's other side divided by ``crop_fraction``. Both are rounded down. For a square target
    this is torchvision's rule, which fixes the short side.
    """
    width, height = size
    least_width, least_height = int(spec.width / spec.crop_fraction), int(spec.height / spec.crop_fraction)
    if least_width * height >= least_height * width:
        return least_width, int(least_width * height / width)
    return int(least_height * width / height), least_height
