"""Measure rows side by side. Every row has a turn in every round, so drift affects all rows alike."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mghft_export.bench.gpu_times import GpuTimes
from mghft_export.bench.power import IDLE_SECONDS, Energy
from mghft_export.bench.statistics import Latency, SpeedUp, latency, speed_up
from mghft_export.bench.subjects import Copy, Gemm, Subject
from mghft_export.bench.time_budget import (
    LEAST_ROUNDS,
    LOADING_SHARE,
    WARM_UP_SHARE,
    Budget,
    Turns,
    first_run_limit,
    warm_up_order,
    who_goes_on,
)
from mghft_export.bench.warm_up import MOST_SECONDS, WarmUp
from mghft_export.bench.worker import (
    ENDING_SECONDS,
    REWARM_BELOW,
    REWARM_SECONDS,
    TIMEOUT,
    LeftOut,
    OutOfMemory,
    OutOfTime,
    RowFailed,
    Worker,
)

WARM_UP_RUNS = 1
"""Rounds before the timed ones; they have as many runs as each row needs."""

PHASE_RUNS = 10
ENERGY_SECONDS = 3.0

LIMIT = 60.0
"""Seconds of timed runs after which a row skips later rounds."""

AT_ONCE = max(2, os.cpu_count() or 1)
"""Most processes that load at the same time."""

INTO_THE_BUDGET = "into the time; --budget gives more"

CLOSING_SECONDS, CLOSING_SHARE = 3.0, 0.1
"""Time for the processes to end: these seconds, or this share of a small budget."""

AnySubject = Subject | Gemm | Copy
Cut = Literal["budget", "limit"]


@dataclass(frozen=True)
class Row:
    """The measurements of a subject, or why there are none.

    Attributes:
        speed_up: relative to the first row that was measured; None for that row itself.
        loaded_bytes: resident memory after loading.
        peak_bytes: peak resident memory.
        failure: why there are no numbers.
        said: the last lines that its process wrote, if the failure was unexpected.
        round_ms: the median run of each round, in milliseconds.
        cut: what ended its rounds before the last one: the budget or the limit.
        left_out: it was not started, because this machine cannot run it.
        alone: it did not fit in memory beside the other rows, so it ran after them and not in the same rounds.
    """

    subject: AnySubject
    latency: Latency | None = None
    speed_up: SpeedUp | None = None
    loaded_bytes: int = 0
    peak_bytes: int = 0
    failure: str | None = None
    said: str | None = None
    warm_up: WarmUp | None = None
    round_ms: tuple[float, ...] = ()
    cut: Cut | None = None
    left_out: bool = False
    alone: bool = False
    gpu: GpuTimes | None = None
    energy: Energy | None = None


@dataclass(frozen=True)
class Step:
    """What a row does now, for a progress display.

    Attributes:
        number: number of its subject.
        state: `loads`, `warms up`, `runs` or `ended`.
        median_ms: median of its rounds so far; before the first round, the usual time of a warm-up run; None before
            the first run.
        rounds: number of rounds that it had.
    """

    number: int
    state: Literal["loads", "warms up", "runs", "ended"]
    median_ms: float | None = None
    rounds: int = 0


@dataclass
class _Measured:
    """Measurements of one subject while it is being measured."""

    warm_up: WarmUp | None = None
    rounds: list[list[float]] = field(default_factory=list)
    memory: tuple[int, int] = (0, 0)
    failure: RowFailed | None = None
    cut: Cut | None = None
    gpu: GpuTimes | None = None
    energy: Energy | None = None

    @property
    def medians(self) -> list[float]:
        """The median run of each round, in seconds."""
        return [float(np.median(times)) for times in self.rounds]

    @property
    def usual(self) -> float:
        """Seconds of one run, as far as known; 0 before the first run."""
        if self.rounds:
            return float(np.median(self.medians))
        return self.warm_up.usual if self.warm_up is not None else 0.0

    @property
    def took(self) -> float:
        """Seconds of all timed runs together."""
        return sum(sum(times) for times in self.rounds)


def compare(
    subjects: Sequence[AnySubject],
    *,
    iterations: int,
    duration: float = 0.0,
    timeout: float = TIMEOUT,
    limit: float = LIMIT,
    budget: float = math.inf,
    memory: int | None = None,
    why_not: Callable[[AnySubject], RowFailed | None] = lambda _: None,
    on_round: Callable[[int], None] = lambda _: None,
    on_step: Callable[[Step], None] = lambda _: None,
) -> list[Row]:
    """Measure subjects in interleaved rounds.

    Args:
        subjects: what to measure, with the reference first.
        iterations: number of rounds, and so the minimum number of timed runs of each subject.
        duration: minimum seconds of timed runs of each subject, over all rounds.
        timeout: seconds that one step of a row may take.
        limit: seconds of timed runs after which a row skips later rounds; every row has at least one round.
        budget: seconds for everything. A row that takes too long to load or to run once is dropped. If the rounds of
            the others do not fit, slow rows get fewer (:func:`~mghft_export.bench.time_budget.who_goes_on`).
        memory: largest resident memory of a row, in bytes.
        why_not: called before a row starts; it returns why the row cannot run, or None.
        on_round: called after each round with its number; the warm-up rounds count.
        on_step: called when a row starts its next step.
    """
    time_left = Budget(budget)
    settings = _Settings(iterations, duration, timeout, limit, memory)
    run = _Comparison(subjects, settings, why_not, on_round, on_step)
    measured = run.measure(range(len(subjects)), time_left)
    crowded = [number for number, own in measured.items() if isinstance(own.failure, OutOfMemory)]
    for place, number in enumerate(crowded if len(measured) > 1 else []):
        share = time_left.left() / (len(crowded) - place)
        measured |= run.measure([number], Budget(share))
    return _rows(subjects, measured, set(crowded) if len(measured) > 1 else set())


@dataclass(frozen=True)
class _Settings:
    iterations: int
    duration: float
    timeout: float
    limit: float
    memory: int | None


class _Comparison:
    """The steps of a comparison, in order. Each step runs over the rows that still have a process."""

    def __init__(
        self,
        subjects: Sequence[AnySubject],
        settings: _Settings,
        why_not: Callable[[AnySubject], RowFailed | None],
        on_round: Callable[[int], None],
        on_step: Callable[[Step], None],
    ) -> None:
        self._subjects = subjects
        self._settings = settings
        self._why_not = why_not
        self._on_round = on_round
        self._on_step = on_step
        self._workers: dict[int, Worker] = {}
        self._found: dict[int, _Measured] = {}

    def measure(self, numbers: Sequence[int], budget: Budget) -> dict[int, _Measured]:
        """Measure these subjects side by side."""
        self._found = {number: _Measured() for number in numbers}
        self._workers = {}
        try:
            self._load(numbers, budget)
            self._warm(budget)
            self._on_round(WARM_UP_RUNS)
            self._time(budget)
            self._finish(budget)
        finally:
            for worker in self._workers.values():
                worker.end()
            ending = Budget(min(ENDING_SECONDS, max(budget.left(), CLOSING_SECONDS)))
            for worker in self._workers.values():
                worker.close(max(0.0, ending.left()))
        return self._found

    def _attempt(self, number: int, step: Callable[[Worker, _Measured], None], late: str) -> None:
        """Run a step of one row; if the step fails, end the row.

        Args:
            late: why a row that ran out of time has no numbers. A row that already has rounds keeps them.
        """
        own = self._found[number]
        try:
            step(self._workers[number], own)
            return
        except OutOfTime:
            if own.rounds:
                own.cut = "budget"
            else:
                own.failure = OutOfTime(f"{late} {INTO_THE_BUDGET}")
        except RowFailed as error:
            own.failure = error
        self._workers.pop(number).kill()
        self._tell(number, "ended")

    def _tell(self, number: int, state: Literal["loads", "warms up", "runs", "ended"]) -> None:
        own = self._found[number]
        self._on_step(Step(number, state, 1e3 * own.usual or None, len(own.rounds)))

    def _load(self, numbers: Sequence[int], budget: Budget) -> None:
        """Start the processes: those that load fast come first, and at most :data:`AT_ONCE` load at a time.

        If all loaded at once, they would slow each other down, and none would be ready within a small budget.
        """
        loading = Budget(budget.left() * LOADING_SHARE)
        waiting = sorted(numbers, key=lambda number: warm_up_order(self._subjects[number]))
        starting: deque[int] = deque()
        while waiting or starting:
            while waiting and len(starting) < AT_ONCE:
                number = waiting.pop(0)
                if self._start(number, loading.left()):
                    starting.append(number)
            if starting:
                within = max(0.0, loading.left())
                self._attempt(
                    starting.popleft(),
                    lambda worker, _, within=within: worker.load(within),  # type: ignore[misc]
                    "loading it does not fit",
                )

    def _start(self, number: int, left: float) -> bool:
        """Start the process of a row; return whether there is now a process to wait for."""
        own = self._found[number]
        own.failure = self._why_not(self._subjects[number])
        if own.failure is None and left <= 0:
            own.failure = OutOfTime(f"loading it does not fit {INTO_THE_BUDGET}")
        if own.failure is not None:
            return False
        self._tell(number, "loads")
        self._workers[number] = Worker(
            self._subjects[number], timeout=self._settings.timeout, memory=self._settings.memory
        )
        return True

    def _warm(self, budget: Budget) -> None:
        waiting = sorted(self._workers, key=lambda number: warm_up_order(self._subjects[number]))
        most = min(MOST_SECONDS, WARM_UP_SHARE * budget.left() / max(1, len(waiting)))
        rounds = min(LEAST_ROUNDS, self._settings.iterations)
        for place, number in enumerate(waiting):
            ready = [self._turn(other) for other in waiting[:place] if other in self._workers]
            left = self._for_rounds(budget)
            within = max(0.0, first_run_limit(left, rounds * sum(ready), len(waiting) - place))
            self._tell(number, "warms up")
            self._attempt(
                number,
                lambda worker, own, within=within: _warm(worker, own, most, within),  # type: ignore[misc]
                "a run of it does not fit",
            )

    def _time(self, budget: Budget) -> None:
        for done in range(self._settings.iterations):
            for number in self._next(self._settings.iterations - done, budget):
                seconds = self._seconds(number)
                left = budget.left()
                if self._found[number].rounds and self._turn(number) > left:
                    continue
                self._tell(number, "runs")
                self._attempt(
                    number,
                    lambda worker, own, seconds=seconds, left=left: own.rounds.append(  # type: ignore[misc]
                        worker.burst(seconds, max(0.0, left))
                    ),
                    "a run of it does not fit",
                )
            self._on_round(WARM_UP_RUNS + done + 1)
        for own in self._found.values():
            if own.rounds and len(own.rounds) < self._settings.iterations and own.cut is None:
                own.cut = "limit" if own.took > self._settings.limit else "budget"

    def _next(self, rounds: int, budget: Budget) -> list[int]:
        """The rows of the next round, if `rounds` rounds are left; the first round has all rows."""
        if rounds == self._settings.iterations:
            return list(self._workers)
        within_limit = [
            number for number in self._workers if self._found[number].took <= self._settings.limit
        ]
        turns = {
            number: Turns(len(self._found[number].rounds) * self._turn(number), self._turn(number))
            for number in within_limit
            if len(self._found[number].rounds)
            == self._settings.iterations - rounds  # a skipped row stays out
        }
        return sorted(who_goes_on(turns, rounds=rounds, left=self._for_rounds(budget))) if turns else []

    def _seconds(self, number: int) -> float:
        """Minimum seconds of runs in a turn."""
        # The machine's own rates are steady, so one run per round is enough.
        if isinstance(self._subjects[number], Gemm | Copy):
            return 0.0
        return self._settings.duration / self._settings.iterations

    def _turn(self, number: int) -> float:
        """Seconds of a row's turn in a round, as far as known."""
        usual = self._found[number].usual
        again = REWARM_SECONDS + usual if usual < REWARM_BELOW else 0.0
        return again + max(usual, self._seconds(number))

    def _for_rounds(self, budget: Budget) -> float:
        """Seconds that are left for rounds after the later steps have their share."""
        crowded = sum(isinstance(own.failure, OutOfMemory) for own in self._found.values())
        live = len(self._workers)
        closing = min(CLOSING_SECONDS, CLOSING_SHARE * budget.seconds)
        after = sum(
            ENERGY_SECONDS + IDLE_SECONDS + PHASE_RUNS * self._found[number].usual
            for number in self._workers
            if _on_gpu(self._subjects[number])
        )
        return (budget.left() - closing - after) * live / max(1, live + crowded)

    def _finish(self, budget: Budget) -> None:
        for number in list(self._workers):
            self._attempt(number, lambda worker, own: _finish(worker, own, budget), "its end does not fit")
            if number in self._workers:
                self._tell(number, "ended")


def _on_gpu(subject: AnySubject) -> bool:
    return isinstance(subject, Subject) and subject.on_gpu


def _speed_up(reference: Sequence[float], other: Sequence[float]) -> SpeedUp:
    """The speed-up over the rounds that both rows had."""
    rounds = min(len(reference), len(other))
    return speed_up(reference[:rounds], other[:rounds])


def _warm(worker: Worker, own: _Measured, most: float, within: float) -> None:
    own.warm_up = worker.warm_up(most=most, within=within)
    own.memory = worker.loaded_bytes, worker.peak_bytes()


def _finish(worker: Worker, own: _Measured, budget: Budget) -> None:
    own.memory = worker.loaded_bytes, worker.peak_bytes()
    if PHASE_RUNS * own.usual < budget.left():
        own.gpu = worker.phases(PHASE_RUNS)
    if IDLE_SECONDS + max(ENERGY_SECONDS, own.usual) < budget.left():
        own.energy = worker.energy(ENERGY_SECONDS)


def _rows(subjects: Sequence[AnySubject], measured: dict[int, _Measured], crowded: set[int]) -> list[Row]:
    reference = next((own.medians for number, own in sorted(measured.items()) if own.failure is None), None)
    referred = next((number for number, own in sorted(measured.items()) if own.failure is None), None)
    rows = []
    for number, subject in enumerate(subjects):
        own = measured[number]
        if own.failure is not None:
            left_out = isinstance(own.failure, LeftOut)
            rows.append(Row(subject, failure=str(own.failure), said=own.failure.said, left_out=left_out))
            continue
        assert reference is not None  # at least this row was measured
        batch = subject.batch if isinstance(subject, Subject) else 1
        rows.append(
            Row(
                subject,
                latency(own.rounds, batch),
                None if number == referred else _speed_up(reference, own.medians),
                *own.memory,
                warm_up=own.warm_up,
                round_ms=tuple(1e3 * seconds for seconds in own.medians),
                cut=own.cut,
                alone=number in crowded,
                gpu=own.gpu,
                energy=own.energy,
            )
        )
    return rows
