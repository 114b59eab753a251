"""How much slower one set of times is than another: an interval of the ratio, whatever the times' distribution.

Of all ratios between a time of the one and a time of the other set (Hodges and Lehmann) the interval leaves out as many
at either end as the rank-sum test of Mann, Whitney and Wilcoxon allows. Few times have no interval: then chance alone
can put all of one set above all of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True)
class Ratio:
    """Interval of new over old times."""

    low: float
    high: float


def ratio_interval(old: Sequence[float], new: Sequence[float], error: float) -> Ratio | None:
    """None where the times are too few.

    Args:
        error: chance that times which are spread alike get an interval without 1.
    """
    outside = _outside(len(old), len(new), error / 2)
    if outside is None:
        return None
    ratios = np.sort(np.divide.outer(np.asarray(new), np.asarray(old)).ravel())
    return Ratio(float(ratios[outside]), float(ratios[len(ratios) - 1 - outside]))


def least_times(error: float) -> int:
    """Times that both sets need for an interval."""
    return next(number for number in range(1, 1000) if _outside(number, number, error / 2) is not None)


@cache
def _outside(first: int, second: int, error: float) -> int | None:
    """Ratios to leave out at one end: the most that ranks fall short of with a chance of at most `error`."""
    likely = np.cumsum(_rank_sum_chances(first, second))
    allowed = int(np.searchsorted(likely, error, side="right"))
    return allowed - 1 if allowed > 0 else None


def _rank_sum_chances(first: int, second: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of each number of pairs [first x second + 1] in which the first set's time is the greater, all orders alike.

    Computed as the Gaussian binomial coefficient: a product of (1 - x^(second + i)) / (1 - x^i).
    """
    size = first * second + 1
    chances = np.zeros(size)
    chances[0] = 1.0
    for number in range(1, first + 1):
        step = second + number
        chances[step:] = chances[step:] - chances[: max(0, size - step)] if step < size else chances[step:]
        for place in range(number, size):
            chances[place] += chances[place - number]
        chances *= number / step  # so that they sum to 1 and stay within a float's range
    return chances
