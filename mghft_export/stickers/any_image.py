"""Read a sticker's image in any form that a program may have: a path, a file's bytes, a PIL image or an array."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mghft_export.errors import StickerError
from mghft_export.stickers.image import (
    MAX_ANIMATION_PIXELS,
    decode_sticker,
    flatten,
    named_errors,
    open_sticker,
    parse_background,
)

AnyImage = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[np.uint8]
"""An array is [H, W], [H, W, 3] or [H, W, 4]: grey, RGB or RGBA."""


def is_one_image(images: object) -> bool:
    """Whether this is one image and not a list of images. Objects that are neither count as one image."""
    if isinstance(images, np.ndarray):
        return images.ndim != 4
    return isinstance(images, (str, bytes, bytearray, memoryview)) or not isinstance(images, Sequence)


def rgb_image(
    image: AnyImage,
    name: str = "the image",
    *,
    background: str = "white",
    frame: str | int = "middle",
    max_pixels: int = MAX_ANIMATION_PIXELS,
) -> Image.Image:
    """Read an image as an opaque RGB image.

    A PIL image is taken as it is: its current frame, not turned, with its colours unchanged.

    Args:
        name: the image's name in errors, if it is not a path.
        background: colour under transparent pixels, as :mod:`PIL.ImageColor` understands it.
        frame: frame of a file's animation; see :func:`~mghft_export.stickers.image.open_sticker`.
        max_pixels: most pixels that are decoded for a file, all frames before the chosen one included.

    Raises:
        StickerError: it cannot be read, or is not an image.
    """
    if isinstance(image, (str, os.PathLike)):
        return open_sticker(Path(image), background=background, frame=frame, max_pixels=max_pixels)
    if isinstance(image, (bytes, bytearray, memoryview)):
        return decode_sticker(bytes(image), name, background=background, frame=frame, max_pixels=max_pixels)
    if isinstance(image, np.ndarray):
        image = _image_of(image, name)
    if not isinstance(image, Image.Image):
        raise StickerError(
            f"{name} is of type {type(image).__name__}; give a path, the bytes of a file, a PIL image or a uint8 array"
        )
    if 0 in image.size:
        raise StickerError(f"{name} has no pixels; give one with at least one")
    colour = parse_background(background, name)
    with named_errors(name):
        return flatten(image, colour)


def _image_of(array: npt.NDArray[Any], name: str) -> Image.Image:
    if array.dtype != np.uint8:
        raise StickerError(f"{name} is an array of {array.dtype}; give uint8, 0 to 255")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise StickerError(
            f"{name} is an array of shape {list(array.shape)}; give [H, W], [H, W, 3] or [H, W, 4]"
        )
    if 0 in array.shape:
        raise StickerError(f"{name} has no pixels; give one with at least one")
    return Image.fromarray(np.ascontiguousarray(array))
