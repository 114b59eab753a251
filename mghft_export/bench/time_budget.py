"""How a comparison divides its time: slow rows get fewer rounds, so that fast rows get all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mghft_export.bench.subjects import Subject

LEAST_ROUNDS = 5
"""Rounds that stay reserved for rows that are already warmed up, while the next row has its first run."""

LOADING_SHARE = 0.5
"""Share of the time for loading. A row that is not ready by then is dropped."""

WARM_UP_SHARE = 0.25
"""Share of the time after loading for the warm-up runs of all rows, without their first runs."""


COMPARISON_SECONDS = 75.0
"""Default seconds for one part and batch."""

GPU_ROW_SECONDS = 15.0
"""Extra seconds for each row on a GPU, because its power is measured as well."""

LEAST_SHARE = 20.0
"""Seconds that a comparison needs to have a result. With fewer, its processes have hardly started."""


class Budget:
    """A time budget that starts now.

    Args:
        seconds: length of the budget; `math.inf` for no limit.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._started = clock()

    def left(self) -> float:
        """Seconds left; negative if the budget is overdrawn."""
        return self.seconds - (self._clock() - self._started)


def default_seconds(comparisons: Sequence[Sequence[Subject]], *, gpu: bool) -> float:
    """Default seconds for a whole command.

    Args:
        comparisons: the rows of each comparison.
        gpu: whether rows on a GPU run.
    """
    rows = sum(subject.on_gpu for subjects in comparisons for subject in subjects) if gpu else 0
    return COMPARISON_SECONDS * len(comparisons) + GPU_ROW_SECONDS * rows


def share(left: float, comparisons: int) -> float:
    """Seconds for the next comparison: an equal share of what is left, or enough to have a result.

    The result is 0 if too few seconds are left.

    Args:
        left: seconds of the budget.
        comparisons: comparisons that are left, including the next one.
    """
    seconds = min(left, max(left / comparisons, LEAST_SHARE))
    return seconds if seconds >= 1 else 0.0


@dataclass(frozen=True)
class Turns:
    """Seconds of one row: of the turns that it had, and of its next turn."""

    used: float
    each: float


def warm_up_order(subject: object) -> int:
    """Rows that start fast come first. How much time a slow row can get is known only after the others have theirs."""
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
        waiting: rows that are not warmed up, including this one.
    """
    share = 1.0 if waiting == 1 else 0.5
    least = 0.5 / (waiting + 1)  # if the rows before it need everything
    return max((left - reserved) * share, left * least)


def who_goes_on(rows: Mapping[int, Turns], *, rounds: int, left: float) -> set[int]:
    """The rows that take part in the next of `rounds` rounds.

    All rows take part if the time is enough. Otherwise all rows have the same limit on their total time, so rows with
    long turns stop first.
    """
    if sum(rounds * row.each for row in rows.values()) <= left:
        return set(rows)
    level = _level([(row.used, row.used + rounds * row.each) for row in rows.values()], left)
    return {number for number, row in rows.items() if row.used + row.each <= level}


def _level(spans: list[tuple[float, float]], left: float) -> float:
    """The level of water in columns that each have a floor and a ceiling, after `left` of it is poured in."""
    low, high = min(floor for floor, _ in spans), max(ceiling for _, ceiling in spans)
    for _ in range(60):
        middle = (low + high) / 2
        poured = sum(max(0.0, min(ceiling, middle) - floor) for floor, ceiling in spans)
        low, high = (middle, high) if poured <= left else (low, middle)
    return low
