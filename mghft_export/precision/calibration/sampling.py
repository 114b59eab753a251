"""Draw the stickers of a calibration set from a data set's train split."""

from __future__ import annotations

import hashlib
import heapq
import os
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mghft_export.errors import DataError, MGHFTError
from mghft_export.precision.calibration.held_out import HeldOut, held_out_stickers, image_hash
from mghft_export.stickers.dataset import Sticker, StickerSet
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.sticker_choice import choose_stickers


@dataclass(frozen=True)
class Sample:
    """Stickers for a calibration set, in the order in which they were drawn."""

    dataset: StickerSet
    stickers: tuple[Sticker, ...]
    seed: int
    asked: int
    """How many stickers were asked for. `stickers` has fewer if train has fewer."""
    left_out: tuple[str, ...]
    """Why stickers of train were passed over, one sentence for each."""


def sample_stickers(
    dataset: StickerSet, size: int, *, seed: int = 0, topics: Sequence[str] = (), skip_bad: bool = False
) -> Sample:
    """Draw stickers from train, in proportion to its classes and topics (:func:`allot`).

    The same data set and seed give the same stickers. Neither the place of the data set nor the order of its rows
    matters.

    Args:
        size: how many stickers to draw. If there are fewer, all are taken.
        topics: draw only from these topics; from all if empty.
        skip_bad: draw other stickers in place of those that cannot be used.

    Raises:
        DataError: ``size`` is below 1; there is no train split, or a topic does not exist; a drawn sticker cannot be
            used and ``skip_bad`` is not set; or no sticker can be used. A sticker cannot be used if it has no text, if
            the name of its file is not UTF-8, if its image cannot be read, or if it is in val or test as well.
    """
    if size < 1:
        raise DataError("a calibration set needs a sticker; ask for one or more with --size")
    if not dataset.splits.get("train"):
        raise DataError(
            f"{dataset.root} has no train split with stickers; calibration sets are sampled from train alone"
        )
    pool = choose_stickers(dataset, "train", topics)
    held_out = held_out_stickers(dataset)
    faults: dict[Path, str | None] = {}
    while True:
        chosen = _draw(pool, size, dataset.root, seed)
        for sticker in chosen:
            if sticker.image not in faults:
                faults[sticker.image] = _fault(sticker, held_out)
        found = [fault for sticker in chosen if (fault := faults[sticker.image]) is not None]
        if found and not skip_bad:
            raise DataError(f"{found[0]}, or leave such stickers out with skip_bad (--skip-bad)")
        if not found:
            left_out = tuple(fault for fault in faults.values() if fault is not None)
            return Sample(dataset, tuple(chosen), seed, size, left_out)
        pool = tuple(sticker for sticker in pool if faults.get(sticker.image) is None)
        if not pool:
            raise DataError(f"no sticker of {dataset.root}'s train split can be used; first: {found[0]}")


def source_path(sticker: Sticker, root: Path) -> str:
    """The path of a sticker's image, relative to its data set, with forward slashes."""
    return Path(os.path.relpath(sticker.image, root)).as_posix()


def _draw(pool: Sequence[Sticker], size: int, root: Path, seed: int) -> list[Sticker]:
    """Shuffle by hashes and take the first stickers of each cell. Row order and Python version do not matter."""

    def lot(sticker: Sticker) -> bytes:
        words = f"{seed} {source_path(sticker, root)}"
        return hashlib.sha256(words.encode("utf-8", "surrogateescape")).digest()

    cells: dict[Cell, list[Sticker]] = defaultdict(list)
    for sticker in sorted(pool, key=lot):
        cells[sticker.label, sticker.topic].append(sticker)
    shares = allot({cell: len(own) for cell, own in cells.items()}, size)
    return sorted((sticker for cell, own in cells.items() for sticker in own[: shares[cell]]), key=lot)


def _fault(sticker: Sticker, held_out: HeldOut) -> str | None:
    """Why a sticker cannot be used; None if it can be used."""
    if not sticker.text.strip():
        return f"{sticker.image} has no text; take annotations with texts"
    try:
        sticker.image.name.encode()
    except UnicodeEncodeError:
        return f"the name of {sticker.image} is not UTF-8, as the manifest needs it; rename the file"
    try:
        open_sticker(sticker.image)
        content = image_hash(sticker.image)
    except MGHFTError as error:
        return str(error)
    twin = held_out.find(content, sticker.topic, sticker.image.name)
    return f"{sticker.image} of train is {twin} as well; take it out of train" if twin else None


Cell = tuple[int, str]
"""A class index and a topic."""

Key = TypeVar("Key", bound=Hashable)


def allot(cells: Mapping[Cell, int], size: int) -> dict[Cell, int]:
    """Divide ``size`` among cells in proportion to their stickers. Each cell gets at least one.

    If there are more cells than ``size``, each class gets its share of ``size``, and the topics of a class get one
    sticker each, the largest topics first. A class gets nothing only if there are more classes than ``size``. Cells and
    classes with equal claims are served in the order of ``cells``.

    Args:
        cells: how many stickers each cell has, at least one.

    Returns:
        How many stickers to take from each cell: ``size`` in all, or all stickers if there are fewer.
    """
    by_class: dict[int, dict[Cell, int]] = defaultdict(dict)
    for cell, count in cells.items():
        by_class[cell[0]][cell] = count
    enough = size >= len(cells)
    least = {label: len(own) if enough else 1 for label, own in by_class.items()}
    shares = _apportion({label: sum(own.values()) for label, own in by_class.items()}, least, size)
    return {
        cell: share
        for label, own in by_class.items()
        for cell, share in _apportion(own, dict.fromkeys(own, 1), shares[label]).items()
    }


def _apportion(counts: Mapping[Key, int], least: Mapping[Key, int], seats: int) -> dict[Key, int]:
    """Divide seats by Sainte-Laguë's method, after each key got its ``least``.

    No key gets more than its ``counts``: a key that has all its seats claims less than 1/2, any other key claims more.
    """
    given = dict.fromkeys(counts, 0)
    keys = list(counts)

    def claim(number: int) -> tuple[bool, float, int]:
        key = keys[number]
        return given[key] >= least[key], -counts[key] / (2 * given[key] + 1), number

    claims = [claim(number) for number in range(len(keys))]
    heapq.heapify(claims)
    for _ in range(min(seats, sum(counts.values()))):
        number = claims[0][-1]
        given[keys[number]] += 1
        heapq.heapreplace(claims, claim(number))
    return given
