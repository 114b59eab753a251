"""Which text belongs to which image: what `predict` and `encode-text` share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mghft_export.bundle import Manifest
from mghft_export.errors import StickerError
from mghft_export.stickers.text_file import read_texts
from mghft_export.stickers.views import split_views


def texts_of_images(images: Sequence[Path], texts: Sequence[str], text_file: Path | None) -> dict[Path, str]:
    """One text an image, from `--text` (once for all, or once each) or `--text-file`.

    Raises:
        StickerError: none or both were given, the numbers do not fit, or an image has no text in the file.
    """
    if bool(texts) == (text_file is not None):
        raise StickerError("give the stickers' text with either --text or --text-file")
    if text_file is not None:
        found = read_texts(text_file)
        if isinstance(found, str):
            return dict.fromkeys(images, found)
        missing = next((image for image in images if image.name not in found), None)
        if missing is not None:
            raise StickerError(f"{text_file} has no text for {missing.name}")
        return {image: found[image.name] for image in images}
    if len(texts) not in (1, len(images)):
        raise StickerError(
            f"{len(texts)} texts for {len(images)} images; give --text once, or once for each image"
        )
    return dict(zip(images, texts if len(texts) > 1 else [texts[0]] * len(images), strict=True))


def warn_of_missing_views(
    console: Console, manifest: Manifest, names: Sequence[str], texts: Sequence[str]
) -> None:
    """Say which views a text lacks, where the model reads each view by itself."""
    if manifest.text.views != "separate":
        return
    for name, text in zip(names, texts, strict=True):
        missing = split_views(text).missing
        if missing:
            console.print(
                f"[yellow]warning:[/] the text of {name} has no view for {', '.join(missing)}; "
                "the whole text is read instead",
                highlight=False,
            )
