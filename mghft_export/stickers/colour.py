"""Turn colours by name or number into `#rrggbb`, which every program that reads a bundle understands."""

from __future__ import annotations

from PIL import ImageColor

from mghft_export.errors import StickerError


def hex_colour(colour: str) -> str:
    """`#rrggbb` of a colour as :mod:`PIL.ImageColor` understands it, without its alpha.

    Raises:
        StickerError: it is not a colour.
    """
    try:
        red, green, blue = ImageColor.getrgb(colour)[:3]
    except ValueError as error:
        raise StickerError(f"{colour!r} is no colour; give one such as 'white' or '#ff8800'") from error
    return f"#{red:02x}{green:02x}{blue:02x}"
