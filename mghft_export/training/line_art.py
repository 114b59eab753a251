"""An augmentation: the drawing as dark outlines, on white or on its own colours made flat.

Sticker styles differ most in how they draw outlines and shades. A model that has seen one drawing in many such forms
looks at what is drawn.
"""

from __future__ import annotations

import random

from PIL import Image, ImageChops, ImageFilter, ImageOps

THRESHOLD = 24
"""Least difference of neighbouring grey values, of 255, that is an outline."""


def line_art(image: Image.Image) -> Image.Image:
    """One of many forms of an RGB image, of the same size; drawn from Python's generator."""
    edges = image.convert("L").filter(ImageFilter.FIND_EDGES).point(lambda value: 255 * (value >= THRESHOLD))
    edges = ImageOps.expand(
        ImageOps.crop(edges, 1), 1, fill=0
    )  # the filter leaves the outermost pixels as they are
    width = random.choice((1, 3, 3, 5))  # of a line, in pixels
    lines = ImageOps.invert(edges.filter(ImageFilter.MaxFilter(width)) if width > 1 else edges).convert("RGB")
    ground = random.choice(("white", "grey", "flat", "flat"))
    if ground == "white":
        return lines
    colours = image.convert("L").convert("RGB") if ground == "grey" else ImageOps.posterize(image, 2)
    return ImageChops.multiply(ImageChops.screen(colours, Image.new("RGB", image.size, (64, 64, 64))), lines)
