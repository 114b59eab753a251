"""Decode HEIC photos with libheif."""

from __future__ import annotations

import io

from PIL import Image

from mghft_export.stickers.decoding.decoded import Opened


def open_heic(content: bytes) -> Opened:
    """Open the main image of the file. libheif turns it upright."""
    from pillow_heif import HeifImageFile

    image = HeifImageFile(io.BytesIO(content))  # type: ignore[no-untyped-call]

    def read(_: int) -> Image.Image:
        image.load()  # type: ignore[no-untyped-call]
        return image

    return Opened(image.width, image.height, read, profile=image.info.get("icc_profile"))
