"""Put the journals of several shards together, once it is clear that they belong together and miss nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mghft_export.errors import InterpreterError
from mghft_export.interpretation.corpus import Corpus
from mghft_export.interpretation.journal import read_journal
from mghft_export.interpretation.record import Record, Source
from mghft_export.stickers.views import VIEWS


@dataclass(frozen=True)
class Merged:
    """The descriptions of several journals."""

    source: Source
    texts: dict[str, str]
    """SHA-256 of an image -> its text."""
    missing: tuple[Path, ...]
    """Files of the corpus whose image nobody described."""
    foreign: int
    """Described images that are not in the corpus."""


def merge_journals(journals: Sequence[Path], corpus: Corpus, *, partial: bool = False) -> Merged:
    """Read and check journals.

    Args:
        partial: stickers of the corpus may be missing.

    Raises:
        InterpreterError: two journals describe one image, they have texts of different models, prompt versions or
            languages, an image of the corpus has no description, or a journal cannot be read.
    """
    source: Source | None = None
    home: dict[str, Path] = {}
    texts: dict[str, str] = {}
    for journal in journals:
        for digest, record in _last_descriptions(journal).items():
            if source is not None and record.source != source:
                raise InterpreterError(_difference(journal, record.source, source))
            source = record.source
            if home.setdefault(digest, journal) != journal:
                raise InterpreterError(
                    f"{record.file} is described in {home[digest]} and in {journal}; "
                    "merge the journals of different shards"
                )
            texts[digest] = record.text()
    if source is None:
        raise InterpreterError("the journals have no description; run the shards first")
    missing = tuple(item.image for item in corpus.items if corpus.hashes.get(item.image) not in texts)
    if missing and not partial:
        raise InterpreterError(
            f"{len(missing)} of {len(corpus.items)} stickers have no description (first: {missing[0]}); "
            "finish the shards (with --retry-failed, if they list failures), or leave these out with --partial"
        )
    return Merged(source, texts, missing, len(texts.keys() - set(corpus.hashes.values())))


def _last_descriptions(journal: Path) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for record in read_journal(journal):
        if record.failure is None and set(record.views) == set(VIEWS):
            other = found.get(record.image)
            if other is not None and other.source != record.source:
                raise InterpreterError(_difference(journal, record.source, other.source))
            found[record.image] = record
        else:
            found.pop(record.image, None)
    return found


def _difference(journal: Path, one: Source, other: Source) -> str:
    kind = next(
        name for name in ("model", "prompt", "language") if getattr(one, name) != getattr(other, name)
    )
    said = {"model": "model", "prompt": "prompt version", "language": "language"}[kind]
    return (
        f"{journal} has texts of the {said} {getattr(one, kind)!r}, others are of {getattr(other, kind)!r}; "
        "merge journals of one run"
    )
