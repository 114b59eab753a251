"""Which commands can use a data set, and why the others cannot."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mghft_export.stickers.dataset import Sticker, StickerSet
from mghft_export.stickers.datasets.table import WHOLE

WITHOUT_TEXT = ", or train on images alone with --set inputs=image"

FEW = 100
"""With fewer stickers a share says little: the half-width of its interval is 8 points or more."""


def readiness(stickers: StickerSet) -> dict[str, str | None]:
    """Command -> why it cannot use the data set; None if it can."""
    evaluated = WHOLE if WHOLE in stickers.splits else "test"
    classes = None if len(stickers.class_names) > 1 else "there is only one class"
    return {
        "train": classes or _lack(stickers, "train", WITHOUT_TEXT) or _lack(stickers, "val", WITHOUT_TEXT),
        "eval": _lack(stickers, evaluated),
        "calibrate": _lack(stickers, "train"),
    }


def small_set_note(count: int) -> str | None:
    """A note on how little a share of so few stickers tells; None if there are enough stickers.

    The half-width is that of the 95 % interval of a share of 80 %.
    """
    if count >= FEW:
        return None
    points = 100 * 1.96 * math.sqrt(0.8 * 0.2 / max(count, 1))
    return (
        f"{count} stickers tell little: a share of 80 % of them can be off by {points:.0f} points either way"
    )


def _lack(stickers: StickerSet, split: str, remedy: str = "") -> str | None:
    """What a split lacks that every command needs.

    Args:
        remedy: another remedy for missing texts, as the end of the sentence.
    """
    found: Sequence[Sticker] = stickers.splits.get(split, ())
    if not found and not any(stickers.splits.values()):
        return "no row can be used"
    if not found:
        if WHOLE in stickers.splits:
            return f"there is no split {split!r}; divide the set with `mghft-export data split`"
        return (
            f"there is no split {split!r}"
            if split not in stickers.splits
            else f"the split {split!r} is empty"
        )
    without = sum(not sticker.text.strip() for sticker in found)
    if without:
        lacks = (
            "no sticker" if without == len(found) else f"only {len(found) - without} of {len(found)} stickers"
        )
        return (
            f"{lacks} in the split {split!r} has a text; let `mghft-export interpret` write the texts{remedy}"
        )
    return None
