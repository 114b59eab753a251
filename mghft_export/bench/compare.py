"""Rows measured side by side: one timed run of each in every round, so that drift hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from mghft_export.bench.statistics import Latency, SpeedUp, latency, speed_up
from mghft_export.bench.subjects import Gemm, Subject
from mghft_export.bench.worker import RowFailed, Worker

WARM_UP_RUNS = 1


@dataclass(frozen=True)
class Row:
    """What was measured of a subject, or why it was not.

    Attributes:
        speed_up: against the first row that was measured; None for that row itself.
        loaded_bytes: resident memory after loading.
        peak_bytes: peak resident memory.
        failure: why there are no numbers.
    """

    subject: Subject | Gemm
    latency: Latency | None = None
    speed_up: SpeedUp | None = None
    loaded_bytes: int = 0
    peak_bytes: int = 0
    failure: str | None = None


def compare(
    subjects: Sequence[Subject | Gemm], *, iterations: int, on_round: Callable[[int], None] = lambda _: None
) -> list[Row]:
    """Measure subjects in interleaved rounds.

    Args:
        subjects: the reference first.
        iterations: timed runs of each.
        on_round: called after each round with its number.
    """
    failures: dict[int, str] = {}
    times: dict[int, list[float]] = {number: [] for number in range(len(subjects))}
    memory: dict[int, tuple[int, int]] = {}
    with ExitStack() as stack:
        workers: dict[int, Worker] = {}
        for number, subject in enumerate(subjects):
            try:
                workers[number] = stack.enter_context(Worker(subject))
            except RowFailed as error:
                failures[number] = str(error)
        for round_number in range(WARM_UP_RUNS + iterations):
            for number in list(workers):
                try:
                    seconds = workers[number].time_once()
                except RowFailed as error:
                    failures[number] = str(error)
                    del workers[number]
                    continue
                if round_number >= WARM_UP_RUNS:
                    times[number].append(seconds)
            on_round(round_number + 1)
        for number, worker in workers.items():
            memory[number] = worker.loaded_bytes, worker.peak_bytes()
    reference = next((times[number] for number in memory), None)
    rows = []
    for number, subject in enumerate(subjects):
        if number in failures:
            rows.append(Row(subject, failure=failures[number]))
            continue
        own = times[number]
        batch = subject.batch if isinstance(subject, Subject) else 1
        gain = speed_up(reference, own) if reference is not None and own is not reference else None
        rows.append(Row(subject, latency(own, batch), gain, *memory[number]))
    return rows
