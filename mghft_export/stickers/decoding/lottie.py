"""Lottie animations, packed as Telegram's ``.tgs``, through rlottie."""

from __future__ import annotations

import json
from typing import Any

from PIL import Image

from mghft_export.files.foreign_json import parse_json
from mghft_export.stickers.decoding.messengers import unpacked
from mghft_export.stickers.decoding.opened import NamelessError, Opened

SIDE = 512
"""Pixels of the longer side that a drawing gets: Telegram's size of a sticker."""


def open_lottie(content: bytes) -> Opened:
    """Raises NamelessError where it refers to other files, and ValueError where it is no Lottie animation."""
    from rlottie_python import LottieAnimation

    drawing: dict[str, Any] = parse_json(unpacked(content))
    for asset in drawing.get("assets", []):
        # Telegram has no images in stickers, and rlottie would read them from wherever the file says.
        if "layers" not in asset:
            raise NamelessError("refers to an image of its own; save it as PNG, JPEG, GIF or WebP")
    size = scaled(float(drawing["w"]), float(drawing["h"]))
    # rlottie counts one frame more, on which nothing has to be drawn.
    frames = max(1, round(float(drawing["op"]) - float(drawing["ip"])))
    if not drawing["layers"]:  # which rlottie takes for damage
        return Opened(*size, lambda _: Image.new("RGBA", size), frames=frames)
    animation = LottieAnimation.from_data(json.dumps(drawing))
    if animation.lottie_animation_get_totalframe() < 1:
        raise ValueError("no animation")

    def read(index: int) -> Image.Image:
        pixels = animation.lottie_animation_render(index, width=size[0], height=size[1])
        # Colours come multiplied by their alpha.
        return Image.frombytes("RGBa", size, pixels, "raw", "BGRa").convert("RGBA")

    return Opened(*size, read, frames=frames)


def scaled(width: float, height: float) -> tuple[int, int]:
    """A size of the same shape whose longer side has :data:`SIDE` pixels.

    Raises:
        ValueError: a side is not positive.
    """
    longer = max(width, height)
    if not (0 < width < float("inf") and 0 < height < float("inf")):
        raise ValueError("no size")
    return max(1, round(width * SIDE / longer)), max(1, round(height * SIDE / longer))
