"""A user's own data set: a table of images, texts and labels, in a folder or by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, StrictInt

from mghft_export.errors import DataError
from mghft_export.stickers.datasets.files import String, parse
from mghft_export.stickers.datasets.labels import Labels, apply_map, read_classes
from mghft_export.stickers.datasets.names import distinct_names, normal_name
from mghft_export.stickers.datasets.problems import Finding, ProblemKind
from mghft_export.stickers.datasets.table import SPLITS, WHOLE, Row, Table
from mghft_export.stickers.datasets.table_files import TABLES, Roles, read_table

CLASSES_FILE = "classes.json"
IMAGE_FOLDERS = ("images", "Images")
"""Folders beside a table that may hold its images."""

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""Common names of the splits."""


class _Line(BaseModel):
    image: String
    text: String | None = None
    label: StrictInt | String
    topic: String | None = None
    split: String | None = None


def is_folder(root: Path) -> bool:
    """Whether the folder has at least one table."""
    return bool(_split_files(root) or _other_tables(root))


def read_folder(root: Path, label_map: Mapping[str, str], columns: Mapping[str, str] | None = None) -> Table:
    """Read one table for each split (`train.csv`, `val.jsonl`, ...), or one table with or without a column of splits.

    Class names are those of ``classes.json``, or else the labels themselves, sorted.

    Args:
        root: the folder, or the table itself.
        columns: names of the columns that have other names: `{"label": "emotion"}`.

    Raises:
        DataError: there is no table, or several could be meant; a table is damaged or lacks a column; or labels are
            numbers without names.
    """
    files = table_files(root)
    folder = root if root.is_dir() else root.parent
    rows: list[Row] = []
    unreadable: list[Finding] = []
    notes: list[str] = []
    for split, file in files.items():
        table = read_table(file, Roles(columns or {}))
        has_text, has_splits = "text" in table.roles, split == WHOLE and "split" in table.roles
        if not has_text:
            notes.append(f"{file.name} has no column 'text'; it has {', '.join(table.columns)}")
        good, bad = parse(file, table.records, _Line)
        unreadable += bad
        for source, line in good:
            said = line.split or ""
            own = SPLIT_NAMES.get(normal_name(said)) if has_splits else split
            if own is None:
                words = f"{source}: split {said!r} is none of {', '.join(SPLITS)}"
                unreadable.append(Finding(ProblemKind.UNREADABLE_ROW, words))
                continue
            text = line.text or "" if has_text else None
            image = line.image.strip().replace("\\", "/")
            base = _folder_of(image, folder)
            rows.append(Row(own, base, image, text, line.label, line.topic or "", source))
    labels = labels_of_rows(folder, (row.label for row in rows), label_map)
    return Table(tuple(rows), tuple(unreadable), labels, tuple(notes))


def table_files(root: Path) -> dict[str, Path]:
    """Split -> its table. One table for all splits is under "all".

    Raises:
        DataError: there is no table, or several could be meant.
    """
    if root.is_file():
        if root.suffix.lower() not in TABLES:
            raise DataError(f"{root} is no table; give one of the kinds {', '.join(TABLES)}, or a folder")
        return {WHOLE: root}
    files = _split_files(root)
    if files:
        return files
    others = _other_tables(root)
    if len(others) > 1:
        named = ", ".join(file.name for file in others)
        raise DataError(
            f"{root} has several tables ({named}); say which one is meant: {root / others[0].name}"
        )
    if not others:
        raise DataError(
            f"{root} has no table; write a CSV with the columns image, text and label, "
            'or one JSON line {"image", "text", "label"} a sticker (data.jsonl)'
        )
    return {WHOLE: others[0]}


def labels_of_rows(root: Path, said: Iterable[int | str], label_map: Mapping[str, str]) -> Labels:
    """The classes of ``classes.json`` if there is one, or else the labels of the rows, mapped and sorted.

    Raises:
        DataError: labels are numbers without names, or ``classes.json`` is damaged.
    """
    if (root / CLASSES_FILE).is_file():
        return read_classes(root / CLASSES_FILE, label_map)
    names = distinct_names([*(apply_map(label_map, str(label)) for label in said), *label_map.values()])
    if any(name.isdecimal() for name in names):
        raise DataError(
            f"the labels of {root} are numbers without names; write the names in {CLASSES_FILE}, "
            'as ["anger", ...] where the first is number 0, or {"1": "anger", ...}; or name them with --class-map'
        )
    return Labels(tuple(names), label_map=label_map)


def _split_files(root: Path) -> dict[str, Path]:
    """Split -> table, by the names of the files. A table named data holds a whole data set without splits."""
    found: dict[str, Path] = {}
    tables = sorted(file for file in root.iterdir() if file.suffix.lower() in TABLES and file.is_file())
    for file in tables:
        split = SPLIT_NAMES.get(file.stem.casefold())
        if split in found:
            raise DataError(
                f"{root} has two tables for {split}, {found[split].name} and {file.name}; remove one"
            )
        if split is not None:
            found[split] = file
    if found:
        return {split: found[split] for split in SPLITS if split in found}
    data = [file for file in tables if file.stem.casefold() == "data"]
    if len(data) > 1:
        raise DataError(f"{root} has two tables of all, {data[0].name} and {data[1].name}; remove one")
    return {WHOLE: data[0]} if data else {}


def _other_tables(root: Path) -> list[Path]:
    """Tables with any name. JSON files do not count, since most of them are something else."""
    kinds = [kind for kind in TABLES if kind != ".json"]
    return sorted(file for file in root.iterdir() if file.suffix.lower() in kinds and file.is_file())


def _folder_of(image: str, root: Path) -> Path:
    """The folder that an image's path is relative to: the table's folder, or the folder of images in it."""
    try:
        if not (root / image).is_file():
            for name in IMAGE_FOLDERS:
                if (root / name / image).is_file():
                    return root / name
    except (OSError, ValueError):  # a name that no file can have
        pass
    return root
