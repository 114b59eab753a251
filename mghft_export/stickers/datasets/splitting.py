"""Divide a data set into train, val and test: classes in proportion, and stickers that belong together in one split."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mghft_export.errors import DataError
from mghft_export.files.atomic import replacing_file
from mghft_export.files.hashing import sha256
from mghft_export.stickers.dataset import Sticker, StickerSet
from mghft_export.stickers.datasets.plain_folder import CLASSES_FILE
from mghft_export.stickers.datasets.table import SPLITS, WHOLE


@dataclass(frozen=True)
class Division:
    """A data set that was divided."""

    splits: Mapping[str, tuple[Sticker, ...]]
    groups: int
    """Number of groups of stickers that had to stay together. A single sticker is a group, too."""


def divide(
    stickers: Sequence[Sticker],
    fractions: Mapping[str, float],
    *,
    root: Path,
    seed: int = 0,
    by_topic: bool = False,
) -> Division:
    """Divide stickers in proportion to their classes. The same stickers, in any order, and the same seed give the same.

    Stickers with the same image stay together, and with `by_topic` so do those of a topic. The largest groups are
    assigned first, each to the split that lacks most of the classes in the group.

    Args:
        fractions: fraction of each split, not 0. They need not sum to 1.
        root: the folder that paths are relative to.

    Raises:
        DataError: an image cannot be read, or there are fewer groups than splits.
    """
    total = sum(fractions.values())
    groups = _groups(stickers, by_topic=by_topic)
    if len(groups) < len(fractions):
        what = "topics" if by_topic else "different images"
        raise DataError(
            f"{len(groups)} {what} cannot be divided into {len(fractions)} splits; add stickers or leave out a split"
        )

    def lot(group: Sequence[Sticker]) -> bytes:
        names = sorted(_name(sticker, root) for sticker in group)
        return hashlib.sha256("\0".join([str(seed), *names]).encode("utf-8", "surrogateescape")).digest()

    count = Counter(sticker.label for sticker in stickers)
    given: dict[str, Counter[int]] = {split: Counter() for split in fractions}
    chosen: dict[str, list[Sticker]] = {split: [] for split in fractions}
    for group in sorted(groups, key=lambda group: (-len(group), lot(group))):
        own = Counter(sticker.label for sticker in group)

        def lacks(split: str, own: Counter[int] = own) -> float:
            wanted = {label: count[label] * fractions[split] / total for label in own}
            return sum(own[label] * (1 - given[split][label] / wanted[label]) for label in own)

        # Ties go to the largest split.
        split = max(fractions, key=lambda split: (lacks(split), fractions[split]))
        given[split].update(own)
        chosen[split] += group
    empty = next((split for split, found in chosen.items() if not found), None)
    if empty is not None:
        raise DataError(f"nothing is left for {empty}: some groups are too large; group by something finer")
    order = {id(sticker): number for number, sticker in enumerate(stickers)}
    splits = {
        split: tuple(sorted(found, key=lambda item: order[id(item)])) for split, found in chosen.items()
    }
    return Division(splits, len(groups))


def write_division(division: Division, root: Path, class_names: Sequence[str]) -> list[Path]:
    """Write a table for each split, like ``train.jsonl``, and ``classes.json`` into a data set's folder.

    Raises:
        DataError: a table exists already, or an image is outside the folder.
        MGHFTError: the disk is full.
    """
    files = {split: root / f"{split}.jsonl" for split in division.splits}
    taken = next((file for file in files.values() if file.exists()), None)
    if taken is not None:
        raise DataError(f"{taken} exists; move it away, or divide into another folder")
    lines = {
        split: [json.dumps(_line(sticker, root, class_names), ensure_ascii=False) for sticker in found]
        for split, found in division.splits.items()
    }
    written = []
    if not (root / CLASSES_FILE).is_file():
        with replacing_file(root / CLASSES_FILE) as partial:
            partial.write_text(json.dumps(list(class_names), ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(root / CLASSES_FILE)
    for split, file in files.items():
        with replacing_file(file) as partial:
            partial.write_text("\n".join(lines[split]) + "\n", encoding="utf-8")
        written.append(file)
    return written


def stickers_to_divide(dataset: StickerSet) -> tuple[Sticker, ...]:
    """The stickers of a data set that has no splits yet.

    Raises:
        DataError: it has splits already.
    """
    if WHOLE not in dataset.splits:
        raise DataError(
            f"{dataset.root} has the splits {', '.join(dataset.splits)} already; nothing is to be done"
        )
    return dataset.splits[WHOLE]


def parse_fractions(text: str) -> dict[str, float]:
    """The fractions of train, val and test from a text like `80,10,10`. A split with 0 is left out.

    Raises:
        DataError: the text has another form.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if (
        len(numbers) != len(SPLITS)
        or not all(0 <= number < float("inf") for number in numbers)
        or not numbers[0]
    ):
        raise DataError(f"{text!r} are no fractions of {', '.join(SPLITS)}; write three numbers, as 80,10,10")
    return {split: number for split, number in zip(SPLITS, numbers, strict=True) if number}


def _groups(stickers: Sequence[Sticker], *, by_topic: bool) -> list[list[Sticker]]:
    """Groups of stickers that share an image or a topic, directly or through other stickers."""
    leaders = list(range(len(stickers)))

    def leader(number: int) -> int:
        while leaders[number] != number:
            leaders[number] = leaders[leaders[number]]
            number = leaders[number]
        return number

    first: dict[tuple[str, str], int] = {}
    for number, sticker in enumerate(stickers):
        try:
            marks = [("image", sha256(sticker.image))]
        except OSError as error:
            raise DataError(
                f"cannot read {sticker.image}: {error.strerror}; check its permissions"
            ) from error
        if by_topic and sticker.topic:
            marks.append(("topic", sticker.topic))
        for mark in marks:
            leaders[leader(number)] = leader(first.setdefault(mark, number))
    found: dict[int, list[Sticker]] = defaultdict(list)
    for number, sticker in enumerate(stickers):
        found[leader(number)].append(sticker)
    return list(found.values())


def _name(sticker: Sticker, root: Path) -> str:
    return Path(os.path.relpath(sticker.image, root)).as_posix()


def _line(sticker: Sticker, root: Path, class_names: Sequence[str]) -> dict[str, str]:
    image = _name(sticker, root)
    if image.startswith("../"):
        raise DataError(f"{sticker.image} is outside {root}; put the table into the folder above its images")
    try:
        image.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"the name of {sticker.image} is not UTF-8, which a table is; rename the file"
        ) from error
    line = {"image": image, "text": sticker.text, "label": class_names[sticker.label], "topic": sticker.topic}
    return {key: value for key, value in line.items() if value}
