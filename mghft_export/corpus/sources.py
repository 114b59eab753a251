"""Where the stickers of a corpus come from: files and folders, or the rows of a table."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from mghft_export.errors import DataError
from mghft_export.optional_packages import optional_module
from mghft_export.stickers.datasets.table_files import Roles, read_table
from mghft_export.stickers.image_files import images_of
from mghft_export.stickers.text_file import find_by_name, read_texts

PARQUET = ".parquet"
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", PARQUET)
"""Suffixes of tables that list a corpus."""

ROWS_AT_ONCE = 256
"""Rows of a parquet file that are in memory together; they may hold whole images."""


@dataclass(frozen=True)
class Sticker:
    """One row of a corpus."""

    name: str
    image: Path | bytes
    text: str | None


class Source(Protocol):
    """The stickers of a corpus, in an order that does not change."""

    @property
    def identity(self) -> str:
        """A SHA-256 that changes when the list of stickers does."""

    @property
    def rows(self) -> int:
        """How many stickers there are."""

    def stickers(self, start: int) -> Iterator[Sticker]:
        """The stickers from a row on."""


def open_source(
    places: Sequence[Path], text_file: Path | None = None, columns: Mapping[str, str] | None = None
) -> Source:
    """What a user means by some places: one table, or files and folders of images.

    Args:
        text_file: the texts of images, as `predict --text-file` takes them; a table has its own.
        columns: names of a table's columns, by role.

    Raises:
        DataError: a table cannot be read or lacks a column, or texts are given twice.
        StickerError: a folder has no images, or the text file cannot be read.
    """
    table = len(places) == 1 and places[0].suffix.lower() in TABLES
    if not table:
        return Files(images_of(places, sys.stdin.buffer), text_file, columns)
    if text_file is not None:
        raise DataError(f"{places[0]} is a table, which has the texts itself; leave out --text-file")
    if places[0].suffix.lower() == PARQUET:
        return Parquet(places[0], columns or {})
    return Rows(places[0], columns or {})


class Files:
    """Image files, and their texts from a file of texts.

    Raises:
        StickerError: the text file cannot be read, or two of its rows could mean one image.
    """

    def __init__(
        self, paths: Sequence[Path], text_file: Path | None, columns: Mapping[str, str] | None
    ) -> None:
        self._paths = paths
        texts: dict[str, str] | str = {} if text_file is None else read_texts(text_file, columns)
        if isinstance(texts, str):
            self._texts: list[str | None] = [texts] * len(paths)
        else:
            keys = find_by_name(paths, list(texts), text_file or Path())
            self._texts = [None if key is None else texts[key] for key in keys]
        names = "\0".join(map(str, paths)).encode("utf-8", "surrogateescape")
        said = "\0".join(text or "" for text in self._texts).encode("utf-8", "surrogatepass")
        self.identity = hashlib.sha256(names + b"\0\0" + said).hexdigest()
        self.rows = len(paths)

    def stickers(self, start: int) -> Iterator[Sticker]:
        """The stickers from a row on."""
        for path, text in islice(zip(self._paths, self._texts, strict=True), start, None):
            yield Sticker(str(path), path, text)


class Rows:
    """The rows of a CSV or JSON Lines file. Paths of images are relative to its folder.

    Raises:
        DataError: it cannot be read, or has no column of images.
    """

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self._path = path
        table = read_table(path, Roles(columns, required=("image",)))
        self._records = [row if isinstance(row, dict) else {} for _, row in table.records]
        self.identity, self.rows = _identity(path), len(self._records)

    def stickers(self, start: int) -> Iterator[Sticker]:
        """The stickers from a row on."""
        for number, row in enumerate(self._records[start:], start):
            yield _sticker(self._path, number, row)


class Parquet:
    """The rows of a parquet file, read a few at a time. An image is a path, or the bytes of a file.

    A column of Hugging Face's image type, a struct of `bytes` and `path`, is read too.

    Raises:
        DataError: it cannot be read, or has no column of images.
        MGHFTError: pyarrow is not installed.
    """

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        self._parquet = optional_module("pyarrow.parquet", f"reading {path.name}")
        self._path = path
        try:
            with self._parquet.ParquetFile(path) as file:
                names, self.rows = list(file.schema_arrow.names), int(file.metadata.num_rows)
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is damaged or not a parquet file; copy it again") from error
        wanted = {role: columns.get(role, role) for role in ("image", "text")}
        if wanted["image"] not in names:
            raise DataError(
                f"{path} has no column {wanted['image']!r}; it has {', '.join(names)}: say which one is meant with "
                "--columns image=NAME"
            )
        self._columns = {role: name for role, name in wanted.items() if name in names}
        self.identity = _identity(path)

    def stickers(self, start: int) -> Iterator[Sticker]:
        """The stickers from a row on."""
        number = 0
        with self._parquet.ParquetFile(self._path) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=list(self._columns.values())):
                if number + batch.num_rows > start:
                    for row in batch.slice(max(0, start - number)).to_pylist():
                        named = {role: row[name] for role, name in self._columns.items()}
                        yield _sticker(self._path, max(number, start), named)
                        number = max(number, start) + 1
                else:
                    number += batch.num_rows


def _sticker(table: Path, number: int, row: Mapping[str, Any]) -> Sticker:
    """A row of a table as a sticker. What is wrong with it shows when it is read."""
    image, text = row.get("image"), row.get("text")
    name = f"{table.name}, row {number}"
    if isinstance(image, dict):
        name = str(image.get("path") or name)
        image = image.get("bytes") or image.get("path")
    if isinstance(image, str) and image:
        return Sticker(image, table.parent / image, _text(text))
    return Sticker(name, image if isinstance(image, bytes) else b"", _text(text))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _identity(path: Path) -> str:
    """Of a table: its name, size and time, as a table may be too large to be hashed."""
    state = path.stat()
    return hashlib.sha256(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()
