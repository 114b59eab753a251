"""Encodes an image for a request: as PNG, or as JPEG if the PNG is large."""

from __future__ import annotations

import base64
import io

from PIL import Image

LARGEST_PNG = 1 << 20
"""Most bytes of a PNG; flat drawings are far smaller, photographs become JPEG."""

JPEG_QUALITY = 90


def data_url(image: Image.Image) -> str:
    """An RGB image as `data:image/...;base64,...`, without metadata."""
    kind, content = "png", _encoded(image, "PNG")
    if len(content) > LARGEST_PNG:
        kind, content = "jpeg", _encoded(image, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    plain = image.copy()
    plain.info.clear()
    stream = io.BytesIO()
    plain.save(stream, kind, **options)
    return stream.getvalue()
