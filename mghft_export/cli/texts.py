"""Match texts and images, for `predict` and `encode-text`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from mghft_export.bundle import Manifest
from mghft_export.cli.output import say_warning
from mghft_export.errors import StickerError
from mghft_export.stickers.text_file import find_by_name, read_texts
from mghft_export.stickers.views import split_views
from mghft_export.terminal import visible


def texts_of_images(
    images: Sequence[Path],
    texts: Sequence[str],
    text_file: Path | None,
    columns: Mapping[str, str] | None = None,
    *,
    without: bool = False,
) -> list[str]:
    """One text for each image, from `--text` (once for all, or once each) or `--text-file`.

    Args:
        without: the model was also trained for stickers without text, so all texts may be left out and single texts may
            be empty. A file of texts must still have a row for each image, because a missing row is most often a
            misspelt name.

    Raises:
        StickerError: both were given, the numbers do not match, or a text is missing or empty and must not be.
    """
    if text_file is not None and texts:
        raise StickerError("give the stickers' text with either --text or --text-file, not both")
    if text_file is not None:
        found = read_texts(text_file, columns)
        chosen = [found] * len(images) if isinstance(found, str) else _from_file(images, found, text_file)
    elif not texts and without:
        chosen = [""] * len(images)
    elif not texts:
        raise StickerError(
            "the stickers have no text; give it with --text or --text-file, encoded with --text-features, "
            "or let a multimodal model write it with --interpret"
        )
    elif len(texts) not in (1, len(images)):
        raise StickerError(
            f"{len(texts)} texts for {len(images)} images; give --text once, or once for each image"
        )
    else:
        chosen = list(texts) if len(texts) == len(images) else [texts[0]] * len(images)
    empty = next((image for image, text in zip(images, chosen, strict=True) if not text.strip()), None)
    if empty is not None and not without:
        raise StickerError(f"the text of {empty} is empty; describe the sticker, or let --interpret do it")
    return chosen


def shared_text_note(images: Sequence[Path], texts: Sequence[str]) -> str | None:
    """A note that images have no text, or that all share one text, which is seldom intended; None for neither.

    Args:
        texts: one for each image, or none at all if features or the interpreter replace them.
    """
    absent = sum(not text.strip() for text in texts)
    if absent:
        which = "the image alone is judged" if absent == 1 else f"{absent} images alone are judged"
        return f"no text is given, so {which}; a text makes it surer (--text)"
    if len(set(images)) > 1 and len(set(texts)) == 1:
        return (
            f"all {len(images)} images are read with the same text; to give each its own, repeat --text for each image "
            "or use --text-file"
        )
    return None


def warn_of_missing_views(
    console: Console, manifest: Manifest, names: Sequence[str], texts: Sequence[str]
) -> None:
    """Warn about views that a text lacks, if the model reads each view separately."""
    if manifest.text.views != "separate":
        return
    for name, text in zip(names, texts, strict=True):
        missing = split_views(text).missing if text.strip() else ()
        if missing:
            say_warning(
                console,
                f"the text of {visible(name)} has no view for {', '.join(missing)}; the whole text is read instead",
            )


def _from_file(images: Sequence[Path], found: Mapping[str, str], text_file: Path) -> list[str]:
    keys = find_by_name(images, list(found), text_file)
    missing = next((image for image, key in zip(images, keys, strict=True) if key is None), None)
    if missing is not None:
        raise StickerError(f"{text_file} has no text for {missing.name}; add a row for it")
    return [found[key] for key in keys if key is not None]
