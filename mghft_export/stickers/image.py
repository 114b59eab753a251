"""A sticker file of any kind becomes one upright, opaque RGB image."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageFile, ImageOps, UnidentifiedImageError

from mghft_export.errors import StickerError

MAX_PIXELS = 2**27
"""Largest width x height that is decoded: room for 10,000 x 10,000, and 512 MiB in memory."""

MAX_ANIMATION_PIXELS = 2**31
"""Most pixels decoded on the way to a frame: 8,192 frames of 512 x 512, about ten seconds."""

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is read. Of what else Pillow knows, some starts other programs (EPS) and some is no picture (PDF)."""

ANIMATED_FORMATS = ("AVIF", "GIF", "PNG", "WEBP")
"""Where several images are frames; elsewhere they are pages, previews or a second eye; the first counts."""


def open_sticker(path: Path, *, background: str = "white", frame: str | int = "middle") -> Image.Image:
    """Read a sticker: one frame, turned as its EXIF says, composited on a background.

    Transparent pixels take the background's colour here, before any resize, so that whatever colour a file
    hides under them cannot bleed into their neighbours.

    Args:
        path: a file in one of :data:`FORMATS`.
        background: a colour as :mod:`PIL.ImageColor` understands it (``"white"``, ``"#ff8800"``,
            ``"hsl(30, 100%, 50%)"``); if it is itself translucent, its alpha is ignored.
        frame: which frame of an animation: ``"first"``, ``"middle"`` (of ``n`` frames number ``n // 2``)
            or a number from 0. A still image has one frame.

    Returns:
        An image of mode RGB, 8 bits a channel.

    Raises:
        StickerError: the file is missing, unreadable, not an image, damaged or too large; there is no such
            frame; the background is no colour.
    """
    colour = _colour(background, path)
    _refuse_non_file(path)
    return _flatten(_decode(path, frame), colour, path)


def frame_count(path: Path) -> int:
    """How many frames an animation has; a still image has one.

    Raises:
        StickerError: the file is missing, unreadable, not an image, damaged or too large.
    """
    _refuse_non_file(path)
    with _readable(path) as image:
        return _frames(image)


def _colour(background: str, path: Path) -> tuple[int, int, int]:
    try:
        red, green, blue = ImageColor.getrgb(background)[:3]
    except ValueError as error:
        raise StickerError(
            f"cannot put {path} on the background {background!r}; give a colour such as 'white' or '#ff8800'"
        ) from error
    return red, green, blue


def _refuse_non_file(path: Path) -> None:
    """Say what is wrong with a path before it is opened: opening a pipe, for one, would wait for ever."""
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


def _decode(path: Path, frame: str | int) -> Image.Image:
    """The frame's pixels in the file's own mode, upright."""
    with _readable(path) as image:
        _seek(image, frame, path)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image


@contextmanager
def _readable(path: Path) -> Iterator[ImageFile.ImageFile]:
    """An opened image of a size that may be decoded; what goes wrong with it becomes one sentence."""
    with warnings.catch_warnings():
        # Pillow warns of images above a limit of its own and of blemishes in metadata; here a sticker is
        # either taken or refused, and the limit is MAX_PIXELS.
        warnings.simplefilter("ignore")
        try:
            with path.open("rb") as file:
                image = Image.open(file, formats=_formats())
                _refuse_large(image, path)
                yield image
        except (StickerError, MemoryError):
            raise
        except PermissionError as error:
            raise StickerError(f"cannot read {path}: {error.strerror}; check its permissions") from error
        except UnidentifiedImageError as error:
            raise StickerError(
                f"{path} cannot be read as an image; save it as PNG, JPEG, GIF or WebP"
            ) from error
        except Image.DecompressionBombError as error:
            raise StickerError(_too_large(path)) from error
        except Exception as error:
            # Pillow's decoders meet damage with OSError, SyntaxError, ValueError, struct.error and others.
            raise StickerError(f"{path} is damaged or cut short; save or download it again") from error


@cache
def _formats() -> tuple[str, ...]:
    """Of :data:`FORMATS` those that this Pillow has; AVIF came with Pillow 11.3.

    Their modules are imported here: for a format that it does not know yet, Pillow would import all it has, some forty.
    """
    Image.preinit()
    for module in ("AvifImagePlugin", "TiffImagePlugin", "WebPImagePlugin"):
        with suppress(ImportError):
            importlib.import_module(f"PIL.{module}")
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _refuse_large(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise StickerError(_too_large(path, f" ({image.width} x {image.height})"))


def _too_large(path: Path, size: str = "") -> str:
    return f"{path} is too large{size}; scale it down to at most {MAX_PIXELS:,} pixels"


def _seek(image: ImageFile.ImageFile, frame: str | int, path: Path) -> None:
    """Move to a frame, decoding those before it where the format builds each on the last."""
    frames = _frames(image)
    index = _frame_index(frame, frames, path)
    if index * image.width * image.height > MAX_ANIMATION_PIXELS:
        raise StickerError(
            f"{path} has too many frames to reach number {index} of {frames}; choose an earlier frame"
        )
    for number in range(1, index + 1):
        image.seek(number)
        # A GIF's canvas may grow with any frame.
        _refuse_large(image, path)


def _frames(image: ImageFile.ImageFile) -> int:
    frames: int = getattr(image, "n_frames", 1) if image.format in ANIMATED_FORMATS else 1
    return frames


def _frame_index(frame: str | int, frames: int, path: Path) -> int:
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


def _flatten(image: Image.Image, colour: tuple[int, int, int], path: Path) -> Image.Image:
    """An image of any mode as RGB, its transparency replaced by ``colour``."""
    if image.mode == "F":
        raise StickerError(f"{path} holds floating-point values of unknown range; save it as an 8-bit PNG")
    if image.mode.startswith("I"):
        image = _eight_bit(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    opaque = Image.new("RGB", image.size, colour)
    rgba = image.convert("RGBA")
    opaque.paste(rgba, mask=rgba)
    return opaque


def _eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bits (modes I;16, I;16B) or 32 (I) as L, or as LA where one value is declared transparent.

    Full scale is 65,535, the white of 16-bit files and of what Pillow reads as mode I; a 32-bit file with
    brighter pixels is scaled by its brightest.
    """
    values = np.asarray(image)
    white = max(65535, int(values.max()))
    grey = Image.fromarray(np.rint(values.clip(0) * np.float32(255 / white)).astype(np.uint8))
    if "transparency" in image.info:
        grey.putalpha(
            Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8))
        )
    return grey
