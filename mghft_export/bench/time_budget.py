"""A comparison's time, and who gets it: what is slow has fewer rounds, so that what is fast has all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mghft_export.bench.subjects import Subject

LEAST_ROUNDS = 5
"""Rounds of rows that are warmed up already, which the first run of the next one must not take the time of."""

LOADING_SHARE = 0.5
"""Of the time, after which a row that is not ready is given up."""

WARM_UP_SHARE = 0.25
"""Of the time that is left after loading, for the runs of all rows between their first and their timed ones."""


COMPARISON_SECONDS = 75.0
"""Of one part and batch, where nobody says how long it may take."""

GPU_ROW_SECONDS = 15.0
"""More for each row on a GPU: its power is measured as well."""

LEAST_SHARE = 20.0
"""Seconds below which a comparison has little to show, as its processes have hardly started."""


class Budget:
    """Seconds from now on.

    Args:
        seconds: `math.inf` where nothing is cut.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._started = clock()

    def left(self) -> float:
        """Seconds; negative when it is overdrawn."""
        return self.seconds - (self._clock() - self._started)


def default_seconds(comparisons: Sequence[Sequence[Subject]], *, gpu: bool) -> float:
    """Of a whole command.

    Args:
        comparisons: the rows of each.
        gpu: whether rows on a GPU run.
    """
    rows = sum(subject.on_gpu for subjects in comparisons for subject in subjects) if gpu else 0
    return COMPARISON_SECONDS * len(comparisons) + GPU_ROW_SECONDS * rows


def share(left: float, comparisons: int) -> float:
    """Seconds of the next of so many comparisons: as many as each other one, or enough to have a result.

    0 where too few are left for any.
    """
    seconds = min(left, max(left / comparisons, LEAST_SHARE))
    return seconds if seconds >= 1 else 0.0


@dataclass(frozen=True)
class Turns:
    """Of one row: seconds of the turns that it had, and of its next one."""

    used: float
    each: float


def warm_up_order(subject: object) -> int:
    """Rows that start soon come first: what a slow one can be given shows only when the others have theirs."""
    if not isinstance(subject, Subject) or subject.implementation not in ("as-released", "fused"):
        return 0
    if subject.mode.startswith("compile"):
        return 3
    return 2 if subject.implementation == "as-released" else 1


def first_run_limit(left: float, reserved: float, waiting: int) -> float:
    """Seconds that a row may take to warm up.

    Args:
        left: seconds of the budget.
        reserved: seconds that the rows before it need for their rounds.
        waiting: rows that are not warmed up, with this one.
    """
    share = 1.0 if waiting == 1 else 0.5
    least = 0.5 / (waiting + 1)  # where those before it need everything
    return max((left - reserved) * share, left * least)


def who_goes_on(rows: Mapping[int, Turns], *, rounds: int, left: float) -> set[int]:
    """Those that take part in the next of `rounds` rounds.

    All, if the time suffices. Else no row gets more than a certain time, the same for all, so those with long turns
    stop first.
    """
    if sum(rounds * row.each for row in rows.values()) <= left:
        return set(rows)
    level = _level([(row.used, row.used + rounds * row.each) for row in rows.values()], left)
    return {number for number, row in rows.items() if row.used + row.each <= level}


def _level(spans: list[tuple[float, float]], left: float) -> float:
    """Where water stands in columns from a floor to a ceiling each, when `left` of it is poured in."""
    low, high = min(floor for floor, _ in spans), max(ceiling for _, ceiling in spans)
    for _ in range(60):
        middle = (low + high) / 2
        poured = sum(max(0.0, min(ceiling, middle) - floor) for floor, ceiling in spans)
        low, high = (middle, high) if poured <= left else (low, middle)
    return low
