"""Small files of the formats that the extra ``[formats]`` reads; each needs the library that reads it."""

from __future__ import annotations

import gzip
import io
import json
from fractions import Fraction

import numpy as np
from decoding.awkward_files import HALF, exif
from PIL import Image

RED, BLUE = (1, 0, 0), (0, 0, 1)
NO_IMAGE = "cannot be read as an image; save it as PNG, JPEG, GIF or WebP"


def lottie(*, frames: int = 60, opacity: int = 100, side: int = 512, **more: object) -> dict[str, object]:
    """The left half is red in the first third of the time and blue in the rest; the right half is empty."""

    def layer(number: int, colour: tuple[float, ...], start: float, end: float) -> dict[str, object]:
        rectangle = {
            "ty": "rc",
            "p": {"a": 0, "k": [side / 4, side / 2]},
            "s": {"a": 0, "k": [side / 2, side]},
            "r": {"a": 0, "k": 0},
            "d": 1,
        }
        fill = {"ty": "fl", "c": {"a": 0, "k": [*colour, 1]}, "o": {"a": 0, "k": opacity}, "r": 1}
        place = {"p": {"a": 0, "k": [0, 0]}, "a": {"a": 0, "k": [0, 0]}, "s": {"a": 0, "k": [100, 100]}}
        still = {**place, "r": {"a": 0, "k": 0}, "o": {"a": 0, "k": 100}}
        return {
            **{
                "ddd": 0,
                "ind": number,
                "ty": 4,
                "sr": 1,
                "ks": {**still, "a": {"a": 0, "k": [0, 0, 0]}},
                "ao": 0,
            },
            **{"shapes": [{"ty": "gr", "it": [rectangle, fill, {"ty": "tr", **still}]}]},
            **{"ip": start, "op": end, "st": 0, "bm": 0},
        }

    layers = [layer(1, RED, 0, frames // 3), layer(2, BLUE, frames // 3 + 1, frames)]
    whole = {
        "tgs": 1,
        "v": "5.5.2",
        "fr": 60,
        "ip": 0,
        "op": frames,
        "w": side,
        "h": side,
        "nm": "",
        "ddd": 0,
    }
    return {**whole, "assets": [], "layers": layers, **more}


def tgs(drawing: dict[str, object]) -> bytes:
    return gzip.compress(json.dumps(drawing).encode())


def webm(frames: list[np.ndarray], codec: str = "libvpx-vp9") -> bytes:
    """Frames are RGBA; VP9 without loss, with its alpha channel as Telegram has it."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="webm") as container:
        track = container.add_stream(codec, rate=30)
        track.height, track.width = frames[0].shape[:2]
        track.pix_fmt = "yuva420p"
        track.time_base = Fraction(1, 30)
        track.options = {"lossless": "1", "auto-alt-ref": "0"}
        track.metadata["alpha_mode"] = "1"
        for pixels in frames:
            container.mux(track.encode(av.VideoFrame.from_ndarray(pixels, format="rgba")))
        container.mux(track.encode(None))
    return buffer.getvalue()


def heic(orientation: int = 1) -> bytes:
    import pillow_heif

    buffer = io.BytesIO()
    image = pillow_heif.from_pillow(Image.fromarray(HALF))
    image.save(buffer, quality=100, chroma=444, exif=exif(orientation))
    return buffer.getvalue()


def jxl(frames: np.ndarray) -> bytes:
    """[H, W, C], or [frames, H, W, C] of an animation."""
    from imagecodecs import jpegxl_encode

    return bytes(jpegxl_encode(frames, lossless=True))


def svg(body: str, attributes: str = 'width="8" height="4"') -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{body}</svg>'.encode()


def without_the_extra() -> dict[str, tuple[bytes, str]]:
    """Files, and what is said of each after its name where nothing that reads it is installed."""

    def needs(kind: str) -> str:
        return f"is {kind}; mghft-export reads it after: pip install 'mghft-export[formats]'"

    drawing, root = "an SVG drawing", svg("")
    return {
        "sticker.tgs": (tgs(lottie()), needs("a Lottie animation (TGS)")),
        "video.webm": (bytes.fromhex("1a45dfa39f428681014282847765626d"), needs("a WebM video")),
        "photo.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", needs("a HEIC photo")),
        "photo.heif": (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", needs("a HEIC photo")),
        "bare.jxl": (b"\xff\x0a" + bytes(30), needs("a JPEG XL image")),
        "boxed.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30), needs("a JPEG XL image")),
        "plain.svg": (root, needs(drawing)),
        "declared.svg": (b'\xef\xbb\xbf <?xml version="1.0"?><!-- drawn -->' + root, needs(drawing)),
        "doctype.svg": (b"<!DOCTYPE svg>\n" + root.replace(b"<svg", b"<SVG"), needs(drawing)),
        "packed.svgz": (gzip.compress(root), needs(drawing)),
        "named.png": (root, needs(drawing)),
        "page.html": (b"<!DOCTYPE  html><body>" + root, NO_IMAGE),
        "page_without_doctype.html": (b"<html><body>" + root, NO_IMAGE),
        "words.txt": (b"an <svg> element", NO_IMAGE),
        "xml_of_others.svg": (b'<?xml version="1.0"?><rss><svgs/></rss>', NO_IMAGE),
        "archive.gz": (gzip.compress(b"something else"), NO_IMAGE),
        "damaged.gz": (b"\x1f\x8b" + bytes(30), NO_IMAGE),
        "clip.mp4": (b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2" + b"\0\0\0\x08mdat", NO_IMAGE),
    }
