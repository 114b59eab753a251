"""Check the rows of files: the images must exist, the labels must be known, and no image may occur twice."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mghft_export.stickers.datasets.problems import Finding, ProblemKind
from mghft_export.stickers.datasets.table import SPLITS, Row, Table


@dataclass(frozen=True)
class CheckedRow:
    """A row with an image that exists and a label that is known."""

    row: Row
    image: Path
    label: int


def check(table: Table) -> tuple[list[CheckedRow], list[Finding]]:
    """Separate the rows that can be used from findings about the others."""
    checked: list[CheckedRow] = []
    findings: list[Finding] = list(table.unreadable)
    for row in table.rows:
        result = _check_row(row, table)
        if isinstance(result, Finding):
            findings.append(result)
        else:
            checked.append(result)
    kept, repeated = _without_repetitions(checked)
    return kept, findings + repeated


def _check_row(row: Row, table: Table) -> CheckedRow | Finding:
    image = _inside(row.folder, row.image)
    if image is None:
        return Finding(ProblemKind.OUTSIDE_ROOT, f"{row.source}: {row.image}")
    if not _is_file(image):
        return Finding(ProblemKind.MISSING_IMAGE, f"{row.source}: {image}")
    label = table.labels.index(row.label)
    if label is None:
        return Finding(ProblemKind.UNKNOWN_LABEL, f"{row.source}: {row.label!r}")
    if row.text is not None and not row.text.strip():
        return Finding(ProblemKind.EMPTY_TEXT, f"{row.source}: {row.image}")
    return CheckedRow(row, image, label)


def _inside(folder: Path, image: str) -> Path | None:
    """The image's path without ``..``; None if it is outside the folder. Links may lead outside."""
    base = os.path.normpath(folder)
    path = os.path.normpath(Path(base) / image)
    return Path(path) if path != base and Path(path).is_relative_to(base) else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have: too long, or with a null character
        return False


def _without_repetitions(checked: list[CheckedRow]) -> tuple[list[CheckedRow], list[Finding]]:
    """Keep one row for each image: the first one in test, or else in val, or else in train."""
    rank = {split: index for index, split in enumerate(reversed(SPLITS))}
    home: dict[Path, str] = {}
    for row in checked:
        rivals = (home.get(row.image, row.row.split), row.row.split)
        home[row.image] = min(rivals, key=lambda split: rank.get(split, len(SPLITS)))
    kept: list[CheckedRow] = []
    findings: list[Finding] = []
    seen: Counter[tuple[Path, str]] = Counter()
    for row in checked:
        split = row.row.split
        seen[row.image, split] += 1
        where = f"{row.row.source}: {row.row.image}"
        if split != home[row.image]:
            findings.append(Finding(ProblemKind.SHARED_IMAGE, f"{where} is in {home[row.image]} too"))
        elif seen[row.image, split] > 1:
            findings.append(Finding(ProblemKind.REPEATED_IMAGE, where))
        else:
            kept.append(row)
    return kept, findings
