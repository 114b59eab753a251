"""Runs before the timed ones. They end when their times are stable, not after a fixed number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEAST_SECONDS = 0.5
MOST_SECONDS = 5.0
WINDOW = 3
"""Runs per median; two neighbouring medians are compared."""
TOLERANCE = 0.05


@dataclass(frozen=True)
class WarmUp:
    """What happened before the timed runs.

    Attributes:
        first: seconds of the first run, which includes allocation, kernel choice and compilation.
        stable: whether run times were stable at the end. A row with runs of some seconds warms up with two runs, which
            are too few to tell.
    """

    runs: int
    seconds: float
    first: float
    stable: bool

    @property
    def usual(self) -> float:
        """Mean seconds of the runs after the first; seconds of the first run if there was no other."""
        return (self.seconds - self.first) / (self.runs - 1) if self.runs > 1 else self.first


def warm_up(
    run: Callable[[], object],
    clock: Callable[[], float] = time.perf_counter,
    *,
    most: float = MOST_SECONDS,
    within: float = math.inf,
) -> WarmUp:
    """Run at least once and for :data:`LEAST_SECONDS`, until stable or for `most` seconds after the first run.

    Args:
        within: seconds for the warm-up and one timed run. If another run might not fit, the warm-up ends.
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
