"""Turns stickers into texts: keeps earlier descriptions, describes the other stickers, and writes all texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mghft_export.interpretation.ask import Manner, Work
from mghft_export.interpretation.corpus import Corpus, find_images, read_corpus
from mghft_export.interpretation.cost import Usage
from mghft_export.interpretation.journal import Journal
from mghft_export.interpretation.protocol import Backend
from mghft_export.interpretation.record import Record, Source
from mghft_export.interpretation.running import Progress, plan, run
from mghft_export.interpretation.text_outputs import write_texts

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Failed:
    """A sticker without a description."""

    image: Path
    reason: str


@dataclass(frozen=True)
class Result:
    """The result of a run."""

    source: Source
    stickers: int
    distinct: int
    """Number of distinct images that can be read."""
    reused: int
    """Distinct images that the journal had described before."""
    described: int
    """Distinct images that this run described."""
    failures: tuple[Failed, ...]
    written: int
    """Stickers with a text in the output."""
    usage: Usage
    """The usage of this run."""
    seconds: float


async def interpret(
    corpus: Corpus,
    backend: Backend,
    manner: Manner,
    *,
    journal: Path,
    output: Path,
    retry_failed: bool = False,
    on_progress: OnProgress = lambda progress: None,
) -> Result:
    """Describe a corpus and write its texts; without any description, nothing is written.

    Args:
        journal: the file with the descriptions of earlier runs; this run adds its own.
        output: a `.jsonl` file, or a data set's folder.
        retry_failed: try stickers again that failed before.

    Raises:
        MGHFTError: the backend, the journal or the output cannot be used. The journal keeps what was described.
    """
    started = time.monotonic()
    try:
        await backend.open()
        with Journal(journal, manner.source(backend)) as kept:
            works = plan(corpus, kept, manner, retry_failed=retry_failed)
            progress = await run(works, backend, manner, keep=kept.append, on_progress=on_progress)
            failures = _failures(corpus, kept, manner)
            written = 0
            if len(failures) < len(corpus.items):
                written = write_texts(
                    output, corpus, lambda image: _text(corpus, kept, manner, image), kept.source
                )
    finally:
        await backend.close()
    distinct = len(corpus.distinct)
    failed = len({corpus.hashes[failure.image] for failure in failures if failure.image in corpus.hashes})
    return Result(
        source=kept.source,
        stickers=len(corpus.items),
        distinct=distinct,
        reused=distinct - failed - progress.described,
        described=progress.described,
        failures=failures,
        written=written,
        usage=progress.usage,
        seconds=time.monotonic() - started,
    )


async def describe_images(
    images: Sequence[Path],
    backend: Backend,
    manner: Manner,
    *,
    on_progress: OnProgress = lambda progress: None,
) -> tuple[dict[Path, str], tuple[Failed, ...]]:
    """The texts of a few images, without a journal, and the images that could not be described.

    Raises:
        InterpreterError: the backend can answer nothing at all.
    """
    corpus = read_corpus(find_images(images))
    records: dict[str, Record] = {}
    works = [Work(image, digest) for digest, image in corpus.distinct.items()]

    def keep(record: Record) -> None:
        records[record.image] = record

    try:
        await backend.open()
        await run(works, backend, manner, keep=keep, on_progress=on_progress)
    finally:
        await backend.close()
    texts: dict[Path, str] = {}
    failures = [Failed(image, reason) for image, reason in corpus.unreadable.items()]
    for image, digest in corpus.hashes.items():
        record = records[digest]
        if record.failure is None:
            texts[image] = record.text()
        else:
            failures.append(Failed(image, record.failure))
    return texts, tuple(failures)


def _failures(corpus: Corpus, journal: Journal, manner: Manner) -> tuple[Failed, ...]:
    failures = []
    for item in corpus.items:
        if item.image in corpus.unreadable:
            failures.append(Failed(item.image, corpus.unreadable[item.image]))
            continue
        record = journal.find(corpus.hashes[item.image])
        if record is None or not record.complete(manner.rules):
            reason = record.failure if record is not None else None
            failures.append(Failed(item.image, reason or "not described"))
    return tuple(failures)


def _text(corpus: Corpus, journal: Journal, manner: Manner, image: Path) -> str | None:
    digest = corpus.hashes.get(image)
    record = journal.description(digest, manner.rules) if digest else None
    return record.text() if record else None
