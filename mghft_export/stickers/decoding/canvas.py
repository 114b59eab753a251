"""Draw the frames of an animation onto a canvas as a browser draws them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Area:
    """Where and how a frame is drawn, and what happens to its area before the next frame."""

    x: int
    y: int
    width: int
    height: int
    dispose: Literal["keep", "clear", "restore"]
    replaces: bool
    """Whether its pixels replace those below. Otherwise they are blended over them."""


def start_of(areas: Sequence[Area], index: int, width: int, height: int) -> int:
    """The last frame up to ``index`` that hides all frames before it."""
    for number in range(index, 0, -1):
        area = areas[number]
        whole = (area.x, area.y, area.width, area.height) == (0, 0, width, height)
        if whole and area.replaces and (number == index or area.dispose != "restore"):
            return number
    return 0


def pixels_to(areas: Sequence[Area], index: int, width: int, height: int) -> int:
    """How many pixels :func:`composed` decodes and draws."""
    start = start_of(areas, index, width, height)
    return sum(area.width * area.height for area in areas[start : index + 1])


def composed(
    areas: Sequence[Area], index: int, width: int, height: int, pixels: Callable[[int], Pixels]
) -> Image.Image:
    """The RGBA canvas after frame ``index`` is drawn. ``pixels`` gives a frame's own pixels, [height, width, 4].

    Raises:
        Exception: ``pixels`` raised it.
    """
    canvas = np.zeros((height, width, 4), np.uint8)
    for number in range(start_of(areas, index, width, height), index + 1):
        area = areas[number]
        # Pixels beyond the canvas are cut off.
        place = canvas[area.y : area.y + area.height, area.x : area.x + area.width]
        before = place.copy() if area.dispose == "restore" and number < index else None
        drawn = pixels(number)[: place.shape[0], : place.shape[1]]
        place[:] = drawn if area.replaces else over(drawn, place)
        if number < index:
            if before is not None:
                place[:] = before
            elif area.dispose == "clear":
                place[:] = 0
    return Image.fromarray(canvas)


def over(above: Pixels, below: Pixels) -> Pixels:
    """Blend an image [H, W, 4] over another, with the whole-number formula of the PNG specification, rounded."""
    seen = above[..., 3:].astype(np.uint32)
    opaque, hidden = seen == 255, seen == 0
    if (opaque | hidden).all():
        return np.where(hidden, below, above)
    mine = seen * 255
    theirs = (255 - seen) * below[..., 3:]
    both = np.maximum(mine + theirs, 1)
    colour = (above[..., :3] * mine + below[..., :3] * theirs + both // 2) // both
    return np.concatenate((colour, (mine + theirs + 127) // 255), axis=-1).astype(np.uint8)
