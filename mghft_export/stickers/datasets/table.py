"""What every reader returns: rows as the files say them, not yet checked against images and labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mghft_export.stickers.datasets.labels import Labels
from mghft_export.stickers.datasets.problems import Finding

SPLITS = ("train", "val", "test")

WHOLE = "all"
"""The split of a data set that has none."""


@dataclass(frozen=True)
class Row:
    """One line of an annotation file."""

    split: str
    folder: Path
    """What ``image`` is relative to, and may not leave."""
    image: str
    text: str | None
    """None where the annotations carry no texts at all, which is no fault of the row."""
    label: int | str
    topic: str
    source: str
    """File and row number."""


@dataclass(frozen=True)
class Table:
    """A data set as its files say it."""

    rows: tuple[Row, ...]
    unreadable: tuple[Finding, ...]
    labels: Labels
    notes: tuple[str, ...] = ()
    """What the files lack, where it is no fault of a row."""
