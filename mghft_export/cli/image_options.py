"""Options that say how a sticker's image is read, checked where they are parsed."""

from __future__ import annotations

import re

import click

from mghft_export.errors import StickerError
from mghft_export.stickers.colour import hex_colour


def parse_colour(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A colour by any name as `#rrggbb`."""
    try:
        return None if value is None else hex_colour(value)
    except StickerError as error:
        raise click.BadParameter(str(error)) from error


def parse_frame(ctx: click.Context, parameter: click.Parameter, value: str) -> str | int:
    """`first`, `middle` or a number from 0."""
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
    help="Colour under transparent stickers.",
)

frame_option = click.option(
    "--frame",
    callback=parse_frame,
    default="middle",
    show_default=True,
    help="Of an animation: first, middle or a number.",
)
