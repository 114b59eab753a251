"""Describes many stickers, a few at a time, and stores each as soon as it is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mghft_export.errors import InterpreterError
from mghft_export.interpretation.ask import Manner, Outcome, Work, describe
from mghft_export.interpretation.corpus import Corpus
from mghft_export.interpretation.cost import Usage
from mghft_export.interpretation.journal import Journal
from mghft_export.interpretation.protocol import Backend
from mghft_export.interpretation.record import Record, good_views

STOP_AFTER = 20
"""The run ends after this many stickers in a row without any answer, because the server is gone then."""


@dataclass
class Progress:
    """The progress of a run."""

    total: int
    """Images to describe in this run."""
    described: int = 0
    failed: int = 0
    usage: Usage = field(default_factory=Usage)
    started: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """Images that are finished, described or failed."""
        return self.described + self.failed

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.done / max(time.monotonic() - self.started, 1e-9)


def plan(corpus: Corpus, journal: Journal, manner: Manner, *, retry_failed: bool = False) -> list[Work]:
    """The images that still need a description, each distinct one once.

    If a description breaks the rules of this run, only its good views are kept and the others are asked for again.

    Args:
        retry_failed: try images again that failed before.
    """
    works = []
    for digest, image in corpus.distinct.items():
        record = journal.find(digest)
        if record is None:
            works.append(Work(image, digest))
        elif not record.complete(manner.rules) and (retry_failed or record.failure is None):
            works.append(Work(image, digest, good_views(record.views, manner.rules)))
    return works


async def run(
    works: Sequence[Work],
    backend: Backend,
    manner: Manner,
    *,
    keep: Callable[[Record], None],
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Describe all works.

    Only as many images as the backend answers at a time are in memory.

    Args:
        keep: called with each record as soon as it is final.
        on_progress: called after each record.

    Raises:
        InterpreterError: the backend can answer nothing, or nothing any more; earlier records stay stored.
    """
    progress = Progress(len(works))
    waiting = iter(works)
    unanswered = 0

    def take(outcome: Outcome) -> None:
        nonlocal unanswered
        keep(outcome.record)
        progress.usage.add(outcome.record)
        if outcome.record.failure is None:
            progress.described += 1
        else:
            progress.failed += 1
        on_progress(progress)
        unanswered = 0 if outcome.answered else unanswered + 1
        if unanswered >= STOP_AFTER:
            raise InterpreterError(
                f"{backend.model} left {unanswered} stickers in succession unanswered "
                f"(the last: {outcome.record.failure}); check that it can answer and run the same command again "
                "with --retry-failed, nothing is lost"
            )

    async def worker() -> None:
        while batch := list(islice(waiting, backend.batch)):
            for outcome in await describe(batch, backend, manner):
                take(outcome)

    workers = [asyncio.ensure_future(worker()) for _ in range(backend.concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return progress
