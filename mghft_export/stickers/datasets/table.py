"""The result of every reader: rows as the files have them, and the problems of those that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from mghft_export.stickers.datasets.labels import Labels

SPLITS = ("train", "val", "test")

WHOLE = "all"
"""The name of the one split of a data set without splits."""


@dataclass(frozen=True)
class Row:
    """One line of an annotation file."""

    split: str
    folder: Path
    """The folder that ``image`` is relative to. The path may not leave it."""
    image: str
    text: str | None
    """None if the annotations have no texts at all, which is not a fault of the row."""
    label: int | str
    topic: str
    source: str
    """File and row number."""


@dataclass(frozen=True)
class Table:
    """A data set as its files have it."""

    rows: tuple[Row, ...]
    unreadable: tuple[Finding, ...]
    labels: Labels
    notes: tuple[str, ...] = ()
    """What the files lack, apart from faults of single rows."""


MAX_EXAMPLES = 10


class ProblemKind(Enum):
    """Why a row cannot be used. The value is the text for people."""

    UNREADABLE_ROW = "unreadable row"
    OUTSIDE_ROOT = "image path outside the data set"
    MISSING_IMAGE = "missing image"
    UNKNOWN_LABEL = "unknown label"
    EMPTY_TEXT = "empty text"
    REPEATED_IMAGE = "image listed twice in a split"
    SHARED_IMAGE = "image in two splits"


@dataclass(frozen=True)
class Finding:
    """One bad row."""

    kind: ProblemKind
    where: str
    """The file, the row and its content, so that a person can find it."""


@dataclass(frozen=True)
class Problem:
    """All bad rows of one kind."""

    kind: ProblemKind
    count: int
    examples: tuple[str, ...]
    """The first :data:`MAX_EXAMPLES` rows."""


def summarise(findings: Iterable[Finding]) -> tuple[Problem, ...]:
    """Count findings by kind, in the order of :class:`ProblemKind`."""
    by_kind: dict[ProblemKind, list[str]] = {kind: [] for kind in ProblemKind}
    for finding in findings:
        by_kind[finding.kind].append(finding.where)
    return tuple(
        Problem(kind, len(found), tuple(found[:MAX_EXAMPLES])) for kind, found in by_kind.items() if found
    )
