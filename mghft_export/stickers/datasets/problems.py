"""The problems that rows of a data set can have, counted and shown with a few examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

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
