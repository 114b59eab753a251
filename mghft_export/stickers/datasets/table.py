"""The result of every reader: rows as the files have them, not yet checked against images and labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mghft_export.stickers.datasets.labels import Labels
from mghft_export.stickers.datasets.problems import Finding

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
