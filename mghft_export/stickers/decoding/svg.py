"""SVG drawings through resvg, which runs no scripts; what they refer to outside of themselves is left out."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

from PIL import Image

from mghft_export.stickers.decoding.lottie import scaled
from mghft_export.stickers.decoding.messengers import unpacked
from mghft_export.stickers.decoding.opened import Opened

_NUMBER = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*(?:px|pt|pc|mm|cm|in|em|ex)?\s*\Z")
_WITHIN = ("#", "data:image/")
"""How references begin that lead nowhere else."""


def open_svg(content: bytes) -> Opened:
    """Raises ElementTree.ParseError where it is no XML, and ValueError where it has no size."""
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
    """That of ``width`` and ``height``, else of ``viewBox``, else the square of a browser that knows neither."""
    sides = [_NUMBER.match(root.get(name, "")) for name in ("width", "height")]
    box = re.split(r"[\s,]+", root.get("viewBox", "").strip())
    if all(sides):
        return scaled(*(float(side[1]) for side in sides if side))
    if len(box) == 4:
        return scaled(float(box[2]), float(box[3]))
    return scaled(1, 1)
