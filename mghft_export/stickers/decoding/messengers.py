"""Find out which of the formats of messengers, phones and sites that the extra ``[formats]`` reads a file has."""

from __future__ import annotations

import importlib.util
import re
import zlib
from dataclasses import dataclass

INSTALL = "pip install 'mghft-export[formats]'"

MAX_TEXT = 2**23
"""Most bytes of a drawing once it is unpacked: 8 MiB. Telegram allows 64 KiB packed."""

_GZIP = b"\x1f\x8b"
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_JXL_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_SVG = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*<(?:svg[\s>]|(?:\?|!(?!doctype\s+html)).{0,65536}?<svg[\s>])",
    re.DOTALL | re.IGNORECASE,
)
_WEBM = b"\x1a\x45\xdf\xa3"  # EBML, which WebM and Matroska share


@dataclass(frozen=True)
class Kind:
    name: str
    """Name in a sentence."""
    module: str
    """Module that reads it."""


KINDS = {
    "heic": Kind("a HEIC photo", "pillow_heif"),
    "jxl": Kind("a JPEG XL image", "imagecodecs"),
    "lottie": Kind("a Lottie animation (TGS)", "rlottie_python"),
    "svg": Kind("an SVG drawing", "resvg_py"),
    "webm": Kind("a WebM video", "av"),
}


def kind_of(content: bytes) -> str | None:
    """A key of :data:`KINDS`, by the first bytes; None if it is none of them."""
    if content.startswith(_WEBM):
        return "webm"
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC_BRANDS:
        return "heic"
    if content.startswith((b"\xff\x0a", _JXL_CONTAINER)):
        return "jxl"
    if content.startswith(_GZIP):
        start = unpacked(content, 4096).lstrip()
        return "lottie" if start.startswith(b"{") else "svg" if _SVG.match(start) else None
    return "svg" if _SVG.match(content[:MAX_TEXT]) else None


def unpacked(content: bytes, size: int = MAX_TEXT) -> bytes:
    """At most ``size`` bytes of the content, unpacked if it is gzip; empty if the gzip data are damaged."""
    if not content.startswith(_GZIP):
        return content[:size]
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(content, size)
    except zlib.error:
        return b""


def missing(kind: str) -> str | None:
    """If the extra is not installed, the end of a sentence that begins with the file's name; None otherwise."""
    known = KINDS[kind]
    if importlib.util.find_spec(known.module) is not None:
        return None
    return f"is {known.name}; mghft-export reads it after: {INSTALL}"
