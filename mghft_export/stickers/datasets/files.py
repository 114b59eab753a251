"""Read annotation files in UTF-8: JSON, JSON lines and CSV. pydantic parses each row here, and nowhere else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, StrictStr, ValidationError

from mghft_export.errors import DataError
from mghft_export.files.foreign_json import parse_json
from mghft_export.stickers.datasets.problems import Finding, ProblemKind

Parsed = TypeVar("Parsed", bound=BaseModel)


def _whole_characters(text: str) -> str:
    """Refuse half a character (a lone surrogate), which JSON can spell but no program can print or encode."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("half a character") from error
    return text


String = Annotated[StrictStr, AfterValidator(_whole_characters)]
"""A string of valid Unicode."""

Record = tuple[int, Any]
"""A row's number, from 1, and its content."""


def read_json(file: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it cannot be read or is not JSON.
    """
    try:
        return parse_json(_read_text(file))
    except ValueError as error:
        raise DataError(f"{file} is not JSON ({error}); correct it or download it again") from error


def json_lines(file: Path) -> Iterator[Record]:
    """The objects of a JSON-lines file. A line that is not JSON is given as its text.

    Raises:
        DataError: the file cannot be read.
    """
    for number, line in enumerate(_read_text(file).split("\n"), start=1):
        if line.strip():
            try:
                yield number, parse_json(line)
            except ValueError:
                yield number, line


def csv_rows(file: Path) -> Iterator[Record]:
    """The rows of a CSV or TSV file with a header, as mappings from its column names without white space around them.

    Commas, semicolons or tabs separate the cells: the one that is most frequent in the header. (Spreadsheets write
    semicolons if the comma is the decimal sign.)

    Raises:
        DataError: the file cannot be read as CSV.
    """
    reader = _csv_reader(file)
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        # `csv` puts cells beyond the header under None; files from spreadsheets have many unnamed columns.
        yield from enumerate(({key: row[key] for key in row if key} for row in reader), start=1)
    except csv.Error as error:
        raise DataError(f"{file} is not CSV ({error}); save it again as CSV in UTF-8") from error


def csv_header(file: Path) -> list[str]:
    """The column names of a CSV or TSV file.

    Raises:
        DataError: the file cannot be read as CSV.
    """
    try:
        return [name.strip() for name in _csv_reader(file).fieldnames or () if name.strip()]
    except csv.Error as error:
        raise DataError(f"{file} is not CSV ({error}); save it again as CSV in UTF-8") from error


def _csv_reader(file: Path) -> csv.DictReader[str]:
    text = _read_text(file)
    header = text.lstrip("\r\n").partition("\n")[0]
    delimiter = "\t" if file.suffix.lower() == ".tsv" else max(",;\t", key=header.count)
    return csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)


def parse(
    file: Path, records: Iterable[Record], model: type[Parsed]
) -> tuple[list[tuple[str, Parsed]], list[Finding]]:
    """Parse each record. Returns the good ones with their file and row, and findings for the others."""
    good: list[tuple[str, Parsed]] = []
    bad: list[Finding] = []
    for number, record in records:
        source = f"{file.name} row {number}"
        try:
            good.append((source, model.model_validate(record)))
        except ValidationError as error:
            first = error.errors()[0]
            column = ".".join(map(str, first["loc"]))
            reason = f"{column}: {first['msg']}" if column else first["msg"]
            bad.append(Finding(ProblemKind.UNREADABLE_ROW, f"{source}: {reason}"))
    return good, bad


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}; check its permissions") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text; save it again as UTF-8") from error
