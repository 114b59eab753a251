"""An augmentation that turns a drawing into dark outlines, on white or on its own colours made flat.

Sticker styles differ most in how they draw outlines and shades. A model that sees one drawing in many of these forms
learns to look at what is drawn.
"""

from __future__ import annotations

import random

from PIL import Image, ImageChops, ImageFilter, ImageOps

THRESHOLD = 24
"""Smallest difference of neighbouring grey values (0 to 255) that counts as an outline."""


def line_art(image: Image.Image) -> Image.Image:
    """An RGB image in one of many forms, of the same size; Python's random generator chooses the form."""
    edges = image.convert("L").filter(ImageFilter.FIND_EDGES).point(lambda value: 255 * (value >= THRESHOLD))
    edges = ImageOps.expand(
        ImageOps.crop(edges, 1), 1, fill=0
    )  # the filter leaves the outermost pixels as they are
    width = random.choice((1, 3, 3, 5))  # width of a line in pixels
    lines = ImageOps.invert(edges.filter(ImageFilter.MaxFilter(width)) if width > 1 else edges).convert("RGB")
    ground = random.choice(("white", "grey", "flat", "flat"))
    if ground == "white":
        return lines
    colours = image.convert("L").convert("RGB") if ground == "grey" else ImageOps.posterize(image, 2)
    return ImageChops.multiply(ImageChops.screen(colours, Image.new("RGB", image.size, (64, 64, 64))), lines)
