"""Rows measured side by side: every row has a turn in every round, so that drift hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mghft_export.bench.gpu_times import GpuTimes
from mghft_export.bench.power import Energy
from mghft_export.bench.statistics import Latency, SpeedUp, latency, speed_up
from mghft_export.bench.subjects import Copy, Gemm, Subject
from mghft_export.bench.warm_up import WarmUp
from mghft_export.bench.worker import TIMEOUT, OutOfMemory, RowFailed, Worker

WARM_UP_RUNS = 1
"""Rounds before the timed ones, of as many runs as it takes."""

PHASE_RUNS = 10
ENERGY_SECONDS = 3.0

LIMIT = 60.0
"""Seconds of timed runs after which a row sits out the rounds that are left."""

AnySubject = Subject | Gemm | Copy


@dataclass(frozen=True)
class Row:
    """What was measured of a subject, or why it was not.

    Attributes:
        speed_up: against the first row that was measured; None for that row itself.
        loaded_bytes: resident memory after loading.
        peak_bytes: peak resident memory.
        failure: why there are no numbers.
        round_ms: the median run of each round.
        alone: memory had no room for it beside the other rows, so it ran after them, not in the same rounds.
    """

    subject: AnySubject
    latency: Latency | None = None
    speed_up: SpeedUp | None = None
    loaded_bytes: int = 0
    peak_bytes: int = 0
    failure: str | None = None
    warm_up: WarmUp | None = None
    round_ms: tuple[float, ...] = ()
    alone: bool = False
    gpu: GpuTimes | None = None
    energy: Energy | None = None


@dataclass
class _Measured:
    """Of one subject, while it is being measured."""

    warm_up: WarmUp | None = None
    rounds: list[list[float]] = field(default_factory=list)
    memory: tuple[int, int] = (0, 0)
    failure: RowFailed | None = None
    gpu: GpuTimes | None = None
    energy: Energy | None = None

    @property
    def medians(self) -> list[float]:
        """Seconds of the median run of each round."""
        return [float(np.median(times)) for times in self.rounds]


def compare(
    subjects: Sequence[AnySubject],
    *,
    iterations: int,
    duration: float = 0.0,
    timeout: float = TIMEOUT,
    limit: float = LIMIT,
    memory: int | None = None,
    why_not: Callable[[AnySubject], str | None] = lambda _: None,
    on_round: Callable[[int], None] = lambda _: None,
) -> list[Row]:
    """Measure subjects in interleaved rounds.

    Args:
        subjects: the reference first.
        iterations: rounds, and least timed runs of each.
        duration: least seconds of timed runs of each, over all rounds.
        timeout: seconds that one step of a row may take.
        limit: seconds of timed runs after which a row sits out the rounds that are left, once it had one.
        memory: bytes that a row may have resident.
        why_not: asked before a row starts; its answer is why it does not.
        on_round: called after each round with its number.
    """

    def measure(numbers: Sequence[int]) -> dict[int, _Measured]:
        found = {number: _Measured() for number in numbers}
        workers: dict[int, Worker] = {}

        def attempt(number: int, step: Callable[[Worker], None]) -> None:
            try:
                step(workers[number])
            except RowFailed as error:
                found[number].failure = error
                workers.pop(number).kill()

        try:
            for number in numbers:
                try:
                    reason = why_not(subjects[number])
                    if reason is not None:
                        raise RowFailed(reason)
                    workers[number] = Worker(subjects[number], timeout=timeout, memory=memory)
                except RowFailed as error:
                    found[number].failure = error
            for number in list(workers):
                attempt(number, Worker.load)
            for number in list(workers):
                attempt(number, lambda worker, own=found[number]: _warm(worker, own))  # type: ignore[misc]
            on_round(WARM_UP_RUNS)
            for round_number in range(iterations):
                for number in list(workers):
                    if sum(sum(times) for times in found[number].rounds) > limit:
                        continue
                    # The machine's own rates are steady; one run a round will do.
                    steady = isinstance(subjects[number], Gemm | Copy)
                    seconds = 0.0 if steady else duration / iterations
                    attempt(
                        number,
                        lambda worker, own=found[number], seconds=seconds: own.rounds.append(  # type: ignore[misc]
                            worker.burst(seconds)
                        ),
                    )
                on_round(WARM_UP_RUNS + round_number + 1)
            for number in list(workers):
                attempt(number, lambda worker, own=found[number]: _finish(worker, own))  # type: ignore[misc]
        finally:
            for worker in workers.values():
                worker.close()
        return found

    measured = measure(range(len(subjects)))
    crowded = [
        number
        for number, own in measured.items()
        if isinstance(own.failure, OutOfMemory) and len(measured) > 1
    ]
    for number in crowded:
        measured |= measure([number])
    return _rows(subjects, measured, set(crowded))


def _speed_up(reference: Sequence[float], other: Sequence[float]) -> SpeedUp:
    """Over the rounds that both had."""
    rounds = min(len(reference), len(other))
    return speed_up(reference[:rounds], other[:rounds])


def _warm(worker: Worker, own: _Measured) -> None:
    own.warm_up = worker.warm_up()


def _finish(worker: Worker, own: _Measured) -> None:
    own.memory = worker.loaded_bytes, worker.peak_bytes()
    own.gpu = worker.phases(PHASE_RUNS)
    own.energy = worker.energy(ENERGY_SECONDS)


def _rows(subjects: Sequence[AnySubject], measured: dict[int, _Measured], crowded: set[int]) -> list[Row]:
    reference = next((own.medians for number, own in sorted(measured.items()) if own.failure is None), None)
    referred = next((number for number, own in sorted(measured.items()) if own.failure is None), None)
    rows = []
    for number, subject in enumerate(subjects):
        own = measured[number]
        if own.failure is not None:
            rows.append(Row(subject, failure=str(own.failure)))
            continue
        assert reference is not None
        batch = subject.batch if isinstance(subject, Subject) else 1
        rows.append(
            Row(
                subject,
                latency([seconds for times in own.rounds for seconds in times], batch),
                None if number == referred else _speed_up(reference, own.medians),
                *own.memory,
                warm_up=own.warm_up,
                round_ms=tuple(1e3 * seconds for seconds in own.medians),
                alone=number in crowded,
                gpu=own.gpu,
                energy=own.energy,
            )
        )
    return rows
