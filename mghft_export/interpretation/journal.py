"""The journal: each finished image becomes a line of a file at once, so a killed run loses and repeats nothing.

Lines are only ever appended, each in one write that is forced to the disk. A kill or a power cut may leave a last line
without its end; opening the journal removes it. If several lines are about one image, the last one counts. Only the
places of the lines are in memory.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pydantic import ValidationError

from mghft_export.errors import InterpreterError
from mghft_export.interpretation.record import Record, Source
from mghft_export.interpretation.rules import Rules
from mghft_export.optional_packages import optional_module

_BEGINNING = b'{"image":"'
"""The first bytes of every line."""

Place = tuple[int, int]
"""Offset and length of a line, in bytes."""


class Journal:
    """The lines of one source in a journal, which this process alone may write.

    Args:
        path: the file; it is created if it does not exist.
        source: the source; lines of other sources stay in the file unread.

    Raises:
        InterpreterError: another process has it open, it cannot be read or written, or it is not a journal.
    """

    def __init__(self, path: Path, source: Source) -> None:
        self.path, self.source = path, source
        self._places: dict[str, Place] = {}
        filelock = optional_module("filelock", "the interpreter", InterpreterError)
        self._lock: Any = filelock.FileLock(path.parent / f".{path.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._file = path.open("a+b", buffering=0)
        except filelock.Timeout as error:
            raise InterpreterError(
                f"another process writes to {path}; wait for it, or give this one another --journal or -o"
            ) from error
        except OSError as error:
            self._lock.release()
            raise InterpreterError(
                f"cannot write {path}: {error.strerror}; choose another --journal or -o"
            ) from error
        try:
            end = 0
            for place, record in _lines(path):
                end = sum(place)
                if record.source == source:
                    self._places[record.image] = place
            self._file.truncate(end)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, record: Record) -> None:
        """Write a record to the disk.

        Raises:
            InterpreterError: the disk is full or gone.
        """
        line = record.model_dump_json(exclude_defaults=True).encode() + b"\n"
        try:
            start = self._file.seek(0, os.SEEK_END)
            written = self._file.write(line)
            if written != len(line):  # a full disk may take only a part
                self._file.truncate(start)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InterpreterError(
                f"cannot write {self.path}: {error.strerror}; free some space and run the same command again"
            ) from error
        self._places[record.image] = (start, len(line))

    def find(self, sha256: str) -> Record | None:
        """The last record of an image."""
        place = self._places.get(sha256)
        return _read(self._file, place, self.path) if place else None

    def description(self, sha256: str, rules: Rules) -> Record | None:
        """The last record of an image if it is a description that the rules allow; else None."""
        record = self.find(sha256)
        return record if record is not None and record.complete(rules) else None

    def close(self) -> None:
        """Let other processes write."""
        self._file.close()
        self._lock.release()


def read_places(path: Path) -> Iterator[tuple[Place, Record]]:
    """All records of a journal with their places, oldest first; a torn last line is skipped.

    Raises:
        InterpreterError: the file does not exist, or is not a journal.
    """
    if not path.is_file():
        raise InterpreterError(f"there is no journal {path}; give one that `mghft-export interpret` wrote")
    yield from _lines(path)


def read_record(path: Path, place: Place) -> Record:
    """The record at a place of a journal.

    Raises:
        InterpreterError: the journal cannot be read, or the record is no longer there.
    """
    try:
        with path.open("rb") as file:
            return _read(file, place, path)
    except OSError as error:
        raise InterpreterError(f"cannot read {path}: {error.strerror}; check its permissions") from error


def _lines(path: Path) -> Iterator[tuple[Place, Record]]:
    """Complete lines and their places; a torn line at the end is skipped."""
    start = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    record = Record.model_validate_json(line)
                except ValidationError as error:
                    # A torn line gets removed later, so a torn first line must show that the file is a journal.
                    ours = number > 1 or line.startswith(_BEGINNING)
                    if not line.endswith(b"\n") and ours and _is_torn(line):
                        return
                    raise InterpreterError(
                        f"line {number} of {path} is no record of the interpreter; "
                        "give the journal of an earlier run, or a new name"
                    ) from error
                if not line.endswith(b"\n"):
                    return
                yield (start, len(line)), record
                start += len(line)
    except OSError as error:
        raise InterpreterError(f"cannot read {path}: {error.strerror}; check its permissions") from error


def _is_torn(line: bytes) -> bool:
    """Whether a line begins like a record; a power cut may leave zeros in place of its rest, or of all of it."""
    written = line.rstrip(b"\0")
    digest = written[len(_BEGINNING) :][:64]
    return (
        _BEGINNING.startswith(written[: len(_BEGINNING)]) and re.fullmatch(b"[0-9a-f]*", digest) is not None
    )


def _read(file: IO[bytes], place: Place, path: Path) -> Record:
    file.seek(place[0])
    try:
        return Record.model_validate_json(file.read(place[1]))
    except ValidationError as error:
        raise InterpreterError(
            f"{path} was changed while it was in use; run the same command again"
        ) from error
