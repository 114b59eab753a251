"""Draw SVG files with resvg, which runs no scripts. References to other files are left out."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

from PIL import Image

from mghft_export.stickers.decoding.decoded import Opened
from mghft_export.stickers.decoding.lottie import scaled
from mghft_export.stickers.decoding.messengers import unpacked

_NUMBER = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*(?:px|pt|pc|mm|cm|in|em|ex)?\s*\Z")
_WITHIN = ("#", "data:image/")
"""Prefixes of references that stay within the file."""


def open_svg(content: bytes) -> Opened:
    """Open a drawing. Raises ElementTree.ParseError if it is not XML, and ValueError if it has no size."""
    from resvg_py import svg_to_bytes

    root = ElementTree.fromstring(unpacked(content))
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name.rpartition("}")[2] == "href" and not value.strip().startswith(_WITHIN):
                del element.attrib[name]
    width, height = _size(root)
    text = ElementTree.tostring(root, encoding="unicode")
    has_text = any(
        element.tag.rpartition("}")[2] == "text" for element in root.iter() if isinstance(element.tag, str)
    )

    def read(_: int) -> Image.Image:
        drawn = svg_to_bytes(svg_string=text, width=width, height=height, skip_system_fonts=not has_text)
        image = Image.open(io.BytesIO(bytes(drawn)), formats=("PNG",))
        image.load()
        return image

    return Opened(width, height, read)


def _size(root: ElementTree.Element) -> tuple[int, int]:
    """The size from ``width`` and ``height``, or else from ``viewBox``, or else a square, as in a browser."""
    sides = [_NUMBER.match(root.get(name, "")) for name in ("width", "height")]
    box = re.split(r"[\s,]+", root.get("viewBox", "").strip())
    if all(sides):
        return scaled(*(float(side[1]) for side in sides if side))
    if len(box) == 4:
        return scaled(float(box[2]), float(box[3]))
    return scaled(1, 1)
