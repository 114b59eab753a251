"""Runs before the clock counts: until they take the same time, by the clock and not by their number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEAST_SECONDS = 0.5
MOST_SECONDS = 5.0
WINDOW = 3
"""Runs of which a median is taken; two neighbouring medians are compared."""
TOLERANCE = 0.05


@dataclass(frozen=True)
class WarmUp:
    """What happened before the timed runs.

    Attributes:
        first: seconds of the first run, in which much is allocated, chosen and compiled.
        stable: whether runs took the same time at the end; rows of some seconds a run warm
            up with two runs, which do not tell.
    """

    runs: int
    seconds: float
    first: float
    stable: bool

    @property
    def usual(self) -> float:
        """Seconds of a run after the first; of the first where there was no other."""
        return (self.seconds - self.first) / (self.runs - 1) if self.runs > 1 else self.first


def warm_up(
    run: Callable[[], object],
    clock: Callable[[], float] = time.perf_counter,
    *,
    most: float = MOST_SECONDS,
    within: float = math.inf,
) -> WarmUp:
    """Run at least once and :data:`LEAST_SECONDS` long, until stable or `most` seconds after the first run.

    Args:
        within: seconds for all of it and for a timed run; where that is not sure to fit, no further run begins.
    """
    times: list[float] = []
    first = 0.0
    started = clock()
    while True:
        before = clock()
        run()
        after = clock()
        if not times:
            first = after - before
        times.append(after - before)
        stable = _stable(times)
        took = after - started
        crowded = took + 2 * times[-1] > within
        if crowded or (stable and took >= LEAST_SECONDS) or took - first >= most:
            return WarmUp(len(times), took, first, stable)


def _stable(times: list[float]) -> bool:
    if len(times) < 2 * WINDOW:
        return False
    before, now = np.median(times[-2 * WINDOW : -WINDOW]), np.median(times[-WINDOW:])
    return bool(abs(now / before - 1) <= TOLERANCE)
