"""Merges the journals of several shards after checking that they belong together and that nothing is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mghft_export.errors import InterpreterError
from mghft_export.interpretation.corpus import Corpus, printable
from mghft_export.interpretation.journal import Place, read_places, read_record
from mghft_export.interpretation.record import Source
from mghft_export.stickers.views import VIEWS


@dataclass(frozen=True)
class Merged:
    """The descriptions of several journals; their texts stay on the disk."""

    source: Source
    places: Mapping[str, tuple[Path, Place]]
    """SHA-256 of an image -> the journal with its description, and the place in it."""
    missing: tuple[Path, ...]
    """Files of the corpus without a description."""
    foreign: int
    """Described images that are not in the corpus."""

    def text(self, sha256: str) -> str | None:
        """The text of an image.

        Raises:
            InterpreterError: its journal cannot be read any more.
        """
        return read_record(*self.places[sha256]).text() if sha256 in self.places else None


def merge_journals(journals: Sequence[Path], corpus: Corpus, *, partial: bool = False) -> Merged:
    """Read and check journals.

    Args:
        partial: allow stickers of the corpus without a description.

    Raises:
        InterpreterError: two journals describe one image, they have texts of different models, prompt versions or
            languages, an image of the corpus has no description, or a journal cannot be read.
    """
    source: Source | None = None
    places: dict[str, tuple[Path, Place]] = {}
    for journal in journals:
        for digest, (place, said) in _last_descriptions(journal).items():
            if source is not None and said != source:
                raise InterpreterError(_difference(journal, said, source))
            source = said
            home, _ = places.setdefault(digest, (journal, place))
            if home != journal:
                raise InterpreterError(
                    f"{read_record(journal, place).file} is described in {home} and in {journal}; "
                    "merge the journals of different shards"
                )
    if source is None:
        raise InterpreterError("the journals have no description; run the shards first")
    missing = tuple(item.image for item in corpus.items if corpus.hashes.get(item.image) not in places)
    if missing and not partial:
        raise InterpreterError(
            f"{len(missing)} of {len(corpus.items)} stickers have no description (first: {printable(missing[0])}); "
            "finish the shards (with --retry-failed, if they list failures), or leave these out with --partial"
        )
    return Merged(source, places, missing, len(places.keys() - set(corpus.hashes.values())))


def _last_descriptions(journal: Path) -> dict[str, tuple[Place, Source]]:
    found: dict[str, tuple[Place, Source]] = {}
    sources: dict[Source, Source] = {}
    for place, record in read_places(journal):
        if record.failure is None and set(record.views) == set(VIEWS):
            source = sources.setdefault(record.source, record.source)  # one object for all
            if record.image in found and found[record.image][1] != source:
                raise InterpreterError(_difference(journal, source, found[record.image][1]))
            found[record.image] = place, source
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
