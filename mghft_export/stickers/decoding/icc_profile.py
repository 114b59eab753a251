"""Colours of an ICC profile become those of sRGB, which is what the model and a browser's canvas know."""

from __future__ import annotations

import io

from PIL import Image, ImageCms

MAX_PROFILE = 2**22
"""Bytes; profiles of printers have 2 MiB. A larger one is not applied."""

_SPACES = {"RGB": "RGB ", "RGBA": "RGB ", "CMYK": "CMYK"}


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image in sRGB, as perceptual intent has it.

    It stays as it is where the profile is damaged or of another kind of colour.
    A profile that calls itself sRGB is one.
    """
    if not profile or len(profile) > MAX_PROFILE or image.mode not in _SPACES:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _SPACES[image.mode] or "sRGB" in (
            source.profile.profile_description or ""
        ):
            return image
        colours = image.convert("RGB") if image.mode == "RGBA" else image
        converted = ImageCms.profileToProfile(
            colours, source, _srgb(), ImageCms.Intent.PERCEPTUAL, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    if converted is None:
        return image
    if image.mode == "RGBA":
        converted.putalpha(image.getchannel("A"))
    return converted


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
