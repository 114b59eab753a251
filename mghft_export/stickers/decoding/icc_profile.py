"""Convert the colours of an ICC profile to sRGB, which the model and a browser's canvas use."""

from __future__ import annotations

import io

from PIL import Image, ImageCms

MAX_PROFILE = 2**22
"""Most bytes of a profile: 4 MiB. Profiles of printers have 2 MiB. A larger profile is not applied."""

_SPACES = {"RGB": "RGB ", "RGBA": "RGB ", "CMYK": "CMYK"}


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image in sRGB, converted with perceptual intent.

    The image stays as it is if the profile is damaged, is for another kind of colour, or calls itself sRGB.
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
