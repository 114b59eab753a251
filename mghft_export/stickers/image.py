"""Read a sticker file of any kind as one upright, opaque RGB image."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

from mghft_export.errors import StickerError
from mghft_export.stickers.decoding.decoded import NamelessError, Opened
from mghft_export.stickers.decoding.gif import SIGNATURES as GIF_SIGNATURES
from mghft_export.stickers.decoding.gif import open_gif
from mghft_export.stickers.decoding.helper_process import open_in_helper
from mghft_export.stickers.decoding.icc_profile import in_srgb
from mghft_export.stickers.decoding.jpeg import SIGNATURE as JPEG_SIGNATURE
from mghft_export.stickers.decoding.jpeg import open_jpeg
from mghft_export.stickers.decoding.messengers import kind_of, missing
from mghft_export.stickers.decoding.orientation import upright
from mghft_export.stickers.decoding.pillow_formats import open_avif, open_bmp, open_pnm, open_tiff
from mghft_export.stickers.decoding.png import SIGNATURE as PNG_SIGNATURE
from mghft_export.stickers.decoding.png import open_png
from mghft_export.stickers.decoding.webp import is_webp, open_webp

MAX_PIXELS = 2**27
"""Largest width x height that is decoded. It allows 10,000 x 10,000, and takes 512 MiB of memory."""

MAX_ANIMATION_PIXELS = 2**31
"""Most pixels decoded to get to a frame, unless a caller sets less: 8,192 frames of 512 x 512, some ten seconds."""

MAX_FILE_BYTES = 2**30
"""Most bytes of a file that is read. A bitmap with MAX_PIXELS pixels has half as many."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PNM", "TIFF", "WebP")
"""Formats that are read without an extra. Several images in an AVIF, GIF, PNG or WebP are frames; of a TIFF's pages
only the first one counts."""


def open_sticker(
    path: Path,
    *,
    background: str = "white",
    frame: str | int = "middle",
    max_pixels: int = MAX_ANIMATION_PIXELS,
) -> Image.Image:
    """Read one frame of a sticker: turn it as its metadata say, convert it to sRGB, and put it on a background.

    Transparent pixels take the background's colour here, before any resize, so that colours hidden under them cannot
    bleed into their neighbours.

    Args:
        path: a file in one of :data:`FORMATS`.
        background: a colour as :mod:`PIL.ImageColor` understands it (``"white"``, ``"#ff8800"``,
            ``"hsl(30, 100%, 50%)"``). Its alpha is ignored.
        frame: which frame of an animation: ``"first"``, ``"middle"`` (of ``n`` frames number ``n // 2``)
            or a number from 0. A still image has one frame.
        max_pixels: most pixels that may be decoded for it. All frames that are decoded to get to the chosen one count.
            Some 200 million are decoded in a second. A single image has at most :data:`MAX_PIXELS` in any case.

    Returns:
        An image of mode RGB, 8 bits per channel.

    Raises:
        StickerError: the file is missing, unreadable, not an image, damaged or too large; the frame does not exist; or
            the background is not a colour.
    """
    with named_errors(path):
        content = _content(path)
    return decode_sticker(content, str(path), background=background, frame=frame, max_pixels=max_pixels)


def decode_sticker(
    content: bytes,
    name: str = "the image",
    *,
    background: str = "white",
    frame: str | int = "middle",
    max_pixels: int = MAX_ANIMATION_PIXELS,
) -> Image.Image:
    """Do the same as :func:`open_sticker` with the content of a file.

    Args:
        name: the image's name in errors.

    Raises:
        StickerError: as :func:`open_sticker` raises it.
    """
    colour = parse_background(background, name)
    with named_errors(name):
        opened = _open(content, name, max_pixels)
        index = _reachable(frame, opened, name, max_pixels)
        image = in_srgb(opened.read(index), opened.profile)
        return upright(flatten(image, colour), opened.orientation)


def frame_count(path: Path) -> int:
    """How many frames an animation has; a still image has one.

    Raises:
        StickerError: the file is missing, unreadable, not an image, damaged or too large.
    """
    with named_errors(path):
        return _open(_content(path), path).frames


def parse_background(background: str, name: Path | str) -> tuple[int, int, int]:
    """Red, green and blue of a colour as :mod:`PIL.ImageColor` understands it.

    Args:
        name: name of the image that the colour is for, for errors.

    Raises:
        StickerError: it is not a colour.
    """
    try:
        red, green, blue = ImageColor.getrgb(background)[:3]
    except ValueError as error:
        raise StickerError(
            f"cannot put {name} on the background {background!r}; give a colour such as 'white' or '#ff8800'"
        ) from error
    return red, green, blue


def _refuse_non_file(path: Path) -> None:
    """Refuse a path that is not a file before it is opened. Opening a pipe, for example, would wait forever."""
    try:
        if not path.exists():
            raise StickerError(f"there is no file {path}; check the path")
        if not path.is_file():
            raise StickerError(f"{path} is not a file; give the path of one image")
        if path.stat().st_size == 0:
            raise StickerError(f"{path} is empty; save or download it again")
    except OSError as error:
        raise StickerError(
            f"cannot read {path}: {error.strerror}; check the path and its permissions"
        ) from error


def _content(path: Path) -> bytes:
    _refuse_non_file(path)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise StickerError(f"{path} has more than {MAX_FILE_BYTES:,} bytes; scale it down")
    return path.read_bytes()


class _Silence:
    """Python's warning filters belong to all threads: the first reader changes them, and the last one restores them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readers = 0
        self.filters = warnings.catch_warnings()


_silence = _Silence()


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Ignore warnings.

    Pillow warns about images above its own limit and about faults in metadata. Here a sticker is either taken or
    refused, and the limit is MAX_PIXELS.
    """
    with _silence.lock:
        if _silence.readers == 0:
            _silence.filters = warnings.catch_warnings()
            _silence.filters.__enter__()
            warnings.simplefilter("ignore")
        _silence.readers += 1
    try:
        yield
    finally:
        with _silence.lock:
            _silence.readers -= 1
            if _silence.readers == 0:
                _silence.filters.__exit__(None, None, None)


@contextmanager
def named_errors(path: Path | str) -> Iterator[None]:
    """Turn all errors about a file into one sentence that names it."""
    with _without_warnings():
        try:
            yield
        except NamelessError as error:
            raise StickerError(f"{path} {error}") from None
        except (StickerError, MemoryError):
            raise
        except PermissionError as error:
            raise StickerError(f"cannot read {path}: {error.strerror}; check its permissions") from error
        except Image.DecompressionBombError as error:
            raise StickerError(_too_large(path)) from error
        except Exception as error:
            # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and others for damaged files.
            raise StickerError(f"{path} is damaged or cut short; save or download it again") from error


def _open(content: bytes, path: Path | str, max_pixels: int = MAX_PIXELS) -> Opened:
    """Read the header, and check that the size may be decoded."""
    decoder = _decoder(content) or _extra_decoder(content, path)
    if decoder is None:
        raise StickerError(f"{path} cannot be read as an image; save it as PNG, JPEG, GIF or WebP")
    opened = decoder(content)
    most = min(max_pixels, MAX_PIXELS)
    if opened.width * opened.height > most:
        raise StickerError(_too_large(path, f" ({opened.width} x {opened.height})", most))
    return opened


def _decoder(content: bytes) -> Callable[[bytes], Opened] | None:
    """The decoder for the first bytes of a file. Its name does not count."""
    if content.startswith(PNG_SIGNATURE):
        return open_png
    if content.startswith(JPEG_SIGNATURE):
        return open_jpeg
    if content.startswith(GIF_SIGNATURES):
        return open_gif
    if is_webp(content):
        return open_webp
    if content[4:8] == b"ftyp" and content[8:12] in (b"avif", b"avis"):
        return open_avif
    if content.startswith(b"BM"):
        return open_bmp
    if content[:1] == b"P" and content[1:2] in b"123456" and content[2:3].isspace():
        return open_pnm
    if content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return open_tiff
    return None


def _extra_decoder(content: bytes, path: Path | str) -> Callable[[bytes], Opened] | None:
    kind = kind_of(content)
    if kind is None:
        return None
    lacks = missing(kind)
    if lacks:
        raise StickerError(f"{path} {lacks}")
    return partial(open_in_helper, kind)


def _too_large(path: Path | str, size: str = "", most: int = MAX_PIXELS) -> str:
    return f"{path} is too large{size}; scale it down to at most {most:,} pixels"


def _reachable(frame: str | int, opened: Opened, path: Path | str, max_pixels: int) -> int:
    """The frame's number, after a check that few enough pixels are decoded to get to it."""
    index = _frame_index(frame, opened.frames, path)
    if index and opened.pixels_to(index) > max_pixels:
        raise StickerError(
            f"{path} has too many frames to reach number {index} of {opened.frames} within {max_pixels:,} pixels; "
            "choose an earlier frame"
        )
    return index


def _frame_index(frame: str | int, frames: int, path: Path | str) -> int:
    if frame == "first":
        return 0
    if frame == "middle":
        return frames // 2
    if isinstance(frame, str):
        raise StickerError(f"{path} has no frame {frame!r}; choose 'first', 'middle' or a number")
    if not 0 <= frame < frames:
        count = "1 frame" if frames == 1 else f"{frames} frames"
        raise StickerError(f"{path} has {count}, so no number {frame}; choose one from 0 to {frames - 1}")
    return frame


def flatten(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Convert an image of any mode to RGB. Transparency is replaced by ``colour``."""
    if image.mode.startswith("I"):  # 16-bit grey: the upper 8 bits count
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    opaque = Image.new("RGB", image.size, colour)
    rgba = image.convert("RGBA")
    opaque.paste(rgba, mask=rgba)
    return opaque
