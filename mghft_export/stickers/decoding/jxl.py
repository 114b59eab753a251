"""Decode JPEG XL with libjxl, which turns the image and gives sRGB unless the file has its own profile."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mghft_export.stickers.decoding.decoded import Opened
from mghft_export.stickers.decoding.pillow_formats import UnknownRangeError


def open_jxl(content: bytes) -> Opened:
    """Open a JPEG XL image. It decodes every frame, since libjxl counts frames only while it decodes them."""
    from imagecodecs import jpegxl_decode

    frames = jpegxl_decode(content, numthreads=1)
    if frames.dtype == np.uint16:
        frames = (frames >> 8).astype(np.uint8)
    if frames.dtype != np.uint8:
        raise UnknownRangeError
    bands = (1, 2, 3, 4)
    if frames.ndim == 2 or (frames.ndim == 3 and frames.shape[-1] in bands):
        frames = frames[None]
    if frames.ndim == 4 and frames.shape[-1] == 1:
        frames = frames[..., 0]
    return Opened(
        frames.shape[2], frames.shape[1], lambda index: Image.fromarray(frames[index]), frames=len(frames)
    )
