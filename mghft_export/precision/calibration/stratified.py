"""How many stickers of each class and topic a sample of a given size takes."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import TypeVar

Cell = tuple[int, str]
"""A class index and a topic."""

Key = TypeVar("Key", bound=Hashable)


def allot(cells: Mapping[Cell, int], size: int) -> dict[Cell, int]:
    """Divide ``size`` among cells in proportion to their stickers, with one at least for each.

    Where there are more cells than ``size``, every class has its share, and within it as many topics as it goes
    have one sticker, the largest first; a class goes empty only where there are more classes than ``size``.
    Cells and classes with equal claims are served in the order of ``cells``.

    Args:
        cells: stickers that each has, one at least.

    Returns:
        How many to take of each; all together ``size``, or all there are.
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
    """Sainte-Laguë's method, after everybody has got ``least``.

    Nobody gets more than ``counts``: who has all claims less than 1/2, anybody else more.
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
