"""Options for reading a sticker's image. They are checked when they are parsed."""

from __future__ import annotations

import re

import click

from mghft_export.errors import StickerError
from mghft_export.stickers.colour import hex_colour
from mghft_export.stickers.image import MAX_ANIMATION_PIXELS


def parse_colour(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Convert a colour in any notation to `#rrggbb`."""
    try:
        return None if value is None else hex_colour(value)
    except StickerError as error:
        raise click.BadParameter(str(error)) from error


def parse_frame(ctx: click.Context, parameter: click.Parameter, value: str) -> str | int:
    """Parse `first`, `middle` or a number from 0."""
    if value in ("first", "middle"):
        return value
    if not re.fullmatch("[0-9]{1,9}", value):
        raise click.BadParameter(f"{value!r} is no frame; give first, middle or a number from 0")
    return int(value)


background_option = click.option(
    "--background",
    callback=parse_colour,
    default="white",
    show_default=True,
    help="Colour behind transparent stickers.",
)

max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=MAX_ANIMATION_PIXELS,
    show_default=True,
    metavar="N",
    help="Refuse images that take more pixels to decode, some 200 million a second; of an animation all frames up to "
    "the chosen one count.",
)

frame_option = click.option(
    "--frame",
    callback=parse_frame,
    default="middle",
    show_default=True,
    help="Frame of an animation: first, middle or a number.",
)
