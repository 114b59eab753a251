"""How much slower one set of times is than another: an interval of the ratio, for any distribution of the times.

The interval starts from all ratios between a time of one set and a time of the other (Hodges and Lehmann). At either
end it leaves out as many as the rank-sum test of Mann, Whitney and Wilcoxon allows. Too few times give no interval,
because chance alone can then put all of one set above all of the other.
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
    """The interval of new over old times; None if there are too few times.

    Args:
        error: chance that two sets with the same distribution get an interval without 1.
    """
    outside = _outside(len(old), len(new), error / 2)
    if outside is None:
        return None
    ratios = np.sort(np.divide.outer(np.asarray(new), np.asarray(old)).ravel())
    return Ratio(float(ratios[outside]), float(ratios[len(ratios) - 1 - outside]))


def least_times(error: float) -> int:
    """Number of times that each set needs for an interval."""
    return next(number for number in range(1, 1000) if _outside(number, number, error / 2) is not None)


@cache
def _outside(first: int, second: int, error: float) -> int | None:
    """Ratios to leave out at one end: the largest k so that the rank-sum count is k or less with a chance of at most
    `error`; None if there is no k."""
    likely = np.cumsum(_rank_sum_chances(first, second))
    allowed = int(np.searchsorted(likely, error, side="right"))
    return allowed - 1 if allowed > 0 else None


def _rank_sum_chances(first: int, second: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Chance of each number of pairs in which the first set's time is greater, if all orders are equally likely.

    The result has first x second + 1 entries.

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
