"""Decode Lottie animations, packed as Telegram's ``.tgs``, with rlottie."""

from __future__ import annotations

import json
from typing import Any

from PIL import Image

from mghft_export.files.foreign_json import parse_json
from mghft_export.stickers.decoding.decoded import NamelessError, Opened
from mghft_export.stickers.decoding.messengers import unpacked

SIDE = 512
"""Pixels of a drawing's longer side: the size of a Telegram sticker."""


def open_lottie(content: bytes) -> Opened:
    """Open an animation. Raises NamelessError if it refers to other files, and ValueError if it is not Lottie."""
    from rlottie_python import LottieAnimation

    drawing: dict[str, Any] = parse_json(unpacked(content))
    for asset in drawing.get("assets", []):
        # Telegram's stickers have no images, and rlottie would read them from any path in the file.
        if "layers" not in asset:
            raise NamelessError("refers to an image of its own; save it as PNG, JPEG, GIF or WebP")
    size = scaled(float(drawing["w"]), float(drawing["h"]))
    # rlottie counts one more frame, which may be empty.
    frames = max(1, round(float(drawing["op"]) - float(drawing["ip"])))
    if not drawing["layers"]:  # rlottie would treat it as damaged
        return Opened(*size, lambda _: Image.new("RGBA", size), frames=frames)
    animation = LottieAnimation.from_data(json.dumps(drawing))
    if animation.lottie_animation_get_totalframe() < 1:
        raise ValueError("no animation")

    def read(index: int) -> Image.Image:
        pixels = animation.lottie_animation_render(index, width=size[0], height=size[1])
        # rlottie's colours are multiplied by their alpha.
        return Image.frombytes("RGBa", size, pixels, "raw", "BGRa").convert("RGBA")

    return Opened(*size, read, frames=frames)


def scaled(width: float, height: float) -> tuple[int, int]:
    """Scale a size so that its longer side has :data:`SIDE` pixels.

    Raises:
        ValueError: a side is not positive.
    """
    longer = max(width, height)
    if not (0 < width < float("inf") and 0 < height < float("inf")):
        raise ValueError("no size")
    return max(1, round(width * SIDE / longer)), max(1, round(height * SIDE / longer))
