"""Runs before the clock counts: until they take the same time, by the clock and not by their number."""

from __future__ import annotations

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


def warm_up(run: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> WarmUp:
    """Run at least once and :data:`LEAST_SECONDS` long, until stable or :data:`MOST_SECONDS` after the first run."""
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
        since_first = after - started - first
        if (stable and after - started >= LEAST_SECONDS) or since_first >= MOST_SECONDS:
            return WarmUp(len(times), after - started, first, stable)


def _stable(times: list[float]) -> bool:
    if len(times) < 2 * WINDOW:
        return False
    before, now = np.median(times[-2 * WINDOW : -WINDOW]), np.median(times[-WINDOW:])
    return bool(abs(now / before - 1) <= TOLERANCE)
