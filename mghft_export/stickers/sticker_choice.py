"""Choose the stickers of a data set to evaluate, check their classes against the model's, and group them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mghft_export.errors import DataError
from mghft_export.stickers.dataset import Sticker, StickerSet
from mghft_export.stickers.datasets.table import WHOLE

Resample = Literal["sticker", "stem", "topic"]
"""What the bootstrap draws: single stickers, all stickers with one file stem (an emoji in all styles), or topics."""


def choose_split(stickers: StickerSet, split: str | None = None) -> str:
    """The split to evaluate: the one that was asked for, or else test, or everything if the data set has no splits.

    Raises:
        DataError: there is no such split.
    """
    chosen = split or (WHOLE if WHOLE in stickers.splits else "test")
    stickers.split(chosen)
    return chosen


def choose_stickers(stickers: StickerSet, split: str, topics: Sequence[str] = ()) -> tuple[Sticker, ...]:
    """The stickers of a split. If topics are given, only stickers of these topics.

    Raises:
        DataError: the split or a topic does not exist, or there is no sticker in it.
    """
    chosen = stickers.split(split)
    known = sorted({sticker.topic for sticker in chosen})
    unknown = next((topic for topic in topics if topic not in known), None)
    if unknown is not None:
        shown = ", ".join(known[:10]) + (" ..." if len(known) > 10 else "")
        raise DataError(f"the {split} split has no topic {unknown!r}; choose from {shown}")
    if topics:
        chosen = tuple(sticker for sticker in chosen if sticker.topic in topics)
    if not chosen:
        raise DataError(f"{stickers.root} has no sticker in its {split} split; choose another with --split")
    return chosen


def require_same_classes(model: Sequence[str], data: Sequence[str], name: str = "the model") -> None:
    """Refuse a model unless its classes are those of the data set, in the same order. Case does not count.

    A model without its own class names ("class 1", "class 2", ...) only needs the same number of classes.

    Raises:
        DataError: the classes differ; the message names the first difference.
    """
    if len(model) != len(data):
        raise DataError(
            f"{name} has {len(model)} classes, the data set {len(data)}; if these are some of the same classes, "
            "list all of the model's, in its order, in a classes.json beside the data set's table"
        )
    if tuple(model) == tuple(f"class {number + 1}" for number in range(len(model))):
        return
    for number, (of_model, of_data) in enumerate(zip(model, data, strict=True), start=1):
        if of_model.casefold() != of_data.casefold():
            raise DataError(
                f"class {number} is {of_model!r} for {name} and {of_data!r} in the data set; "
                "list the model's classes, in its order, in a classes.json beside the data set's table"
            )


def bootstrap_groups(stickers: Sequence[Sticker], resample: Resample) -> list[str] | None:
    """The key of each sticker's group; None if every sticker is its own group."""
    if resample == "sticker":
        return None
    return [sticker.image.stem if resample == "stem" else sticker.topic for sticker in stickers]


def image_name(image: Path, root: Path) -> str:
    """An image's path inside the data set, with forward slashes."""
    base = Path(os.path.normpath(root))  # the form in which the readers of data sets give paths
    return image.relative_to(base).as_posix() if image.is_relative_to(base) else str(image)
