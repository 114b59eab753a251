"""Read tables of stickers from any common kind of file, and find their columns by their roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from mghft_export.errors import DataError
from mghft_export.stickers.datasets.files import Record, csv_header, csv_rows, json_lines, read_json
from mghft_export.stickers.datasets.names import normal_name

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
"""Suffixes of tables."""

ROLES = ("image", "text", "label", "split", "topic")
"""The roles of columns. A column has its role's name, or the user names it."""

_ALSO = {"file_name": "image"}
"""Other names of roles, as in Hugging Face's image folders and SER30K."""


@dataclass(frozen=True)
class Roles:
    """The names of columns, and the roles that a table must have."""

    columns: Mapping[str, str]
    """Role -> column, for columns with other names."""
    required: tuple[str, ...] = ("image", "label")


@dataclass(frozen=True)
class ReadTable:
    """The rows of a file."""

    records: Iterable[Record]
    """Each row is a mapping from roles. A row that is not a mapping is unchanged."""
    columns: tuple[str, ...]
    """The names of the columns in the file."""
    roles: frozenset[str]
    """The roles that have a column."""


def read_table(file: Path, roles: Roles) -> ReadTable:
    """Read a table. Its suffix says which kind it is.

    Raises:
        DataError: it cannot be read, or has no column for a required role.
    """
    rows = list(_records(file))
    columns = list(dict.fromkeys(chain.from_iterable(row for _, row in rows if isinstance(row, dict))))
    if not columns and file.suffix.lower() in (".csv", ".tsv"):
        columns = _header(file)
    found = _columns_of_roles(file, [str(column) for column in columns], roles.columns)
    missing = [role for role in roles.required if role not in found]
    if missing and (columns or not rows):
        raise DataError(missing_column(file, missing[0], columns))
    renamed = {column: role for role, column in found.items()}
    records = [(number, _by_role(row, renamed)) for number, row in rows]
    return ReadTable(records, tuple(map(str, columns)), frozenset(found))


def _by_role(row: object, renamed: Mapping[str, str]) -> object:
    if not isinstance(row, dict):
        return row
    return {renamed[key]: value for key, value in row.items() if key in renamed}


def missing_column(file: Path, role: str, columns: Sequence[str]) -> str:
    """The sentence for a missing column."""
    has = f"it has {', '.join(columns)}" if columns else "it has no rows"
    return f"{file} has no column {role!r}; {has}: say which one is meant with --columns {role}=NAME"


def _columns_of_roles(file: Path, columns: Sequence[str], said: Mapping[str, str]) -> dict[str, str]:
    """Role -> column. Case and white space do not matter."""
    by_name = {normal_name(column): column for column in reversed(columns)}
    found = {role: by_name[role] for role in ROLES if role in by_name}
    for name, role in _ALSO.items():
        if name in by_name:
            found.setdefault(role, by_name[name])
    for role, column in said.items():
        if normal_name(column) not in by_name:
            raise DataError(f"{file} has no column {column!r}; it has {', '.join(columns) or 'none'}")
        found[role] = by_name[normal_name(column)]
    return found


def _records(file: Path) -> Iterator[Record]:
    kind = file.suffix.lower()
    if kind in (".csv", ".tsv"):
        return csv_rows(file)
    if kind in (".jsonl", ".ndjson"):
        return json_lines(file)
    if kind == ".parquet":
        return _parquet_rows(file)
    content = read_json(file)
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise DataError(f"{file} is not a list; write a list of objects with image, text and label")
    return iter(enumerate(rows, start=1))


def _header(file: Path) -> list[str]:
    return csv_header(file)


def _parquet_rows(file: Path) -> Iterator[Record]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table as read_parquet
    except ModuleNotFoundError as error:
        raise DataError(
            f"{file} needs pyarrow; install it with: pip install 'mghft-export[parquet]'"
        ) from error
    try:
        rows: list[dict[str, Any]] = read_parquet(file).to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        raise DataError(f"{file} is damaged or not a parquet file; copy it again") from error
    return iter(enumerate(rows, start=1))
