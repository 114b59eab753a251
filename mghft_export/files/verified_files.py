"""Hashes of files that were read before, so that a bundle's graphs are hashed once and not at every start.

A file is known again by its path, device, inode, size, and the times of its last change, of content and of inode, to
the nanosecond: a file that is written to, replaced or touched is hashed again. What changed less than two seconds
before it was hashed is not remembered, since a second change could bear the same time. Hashes are kept in
`files.txt` (:mod:`mghft_export.files.own_lines`). `mghft-run` reads and writes the same file
(`cpp/src/verified_files.hpp`). With `MGHFT_ALWAYS_HASH=1` in the environment every file is hashed.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from mghft_export.environment import is_on
from mghft_export.files.hashing import sha256
from mghft_export.files.own_lines import change_own_lines, read_own_lines

NAME = "files.txt"
FIRST_LINE = "mghft-export verified files 1"
MOST_LINES = 256
HASH_LENGTH = 64
SETTLED = 2_000_000_000
"""Nanoseconds."""

current_time = time.time_ns


def verified_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, hashed or remembered."""
    if is_on("MGHFT_ALWAYS_HASH") or not hasattr(os, "geteuid"):
        return sha256(path)
    state = path.stat()
    key = _key(path, state)
    known = _recall(key)
    if known is not None:
        return known
    digest = sha256(path)
    # Nobody may have written to the file while it was hashed.
    if (
        current_time() - max(state.st_mtime_ns, state.st_ctime_ns) >= SETTLED
        and _key(path, path.stat()) == key
    ):
        with suppress(OSError, RuntimeError):  # the file is then hashed at the next start, too
            _remember(key, digest)
    return digest


def state_of(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is written to or another one takes its place; None where there is none."""
    try:
        return _numbers(path.stat())
    except OSError:
        return None


def _numbers(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _key(path: Path, state: os.stat_result) -> str:
    """A line of the file is this and the file's hash."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()
    return f"{name} {' '.join(map(str, _numbers(state)))} "


def _recall(key: str) -> str | None:
    for line in read_own_lines(NAME, FIRST_LINE):
        if line.startswith(key) and len(line) == len(key) + HASH_LENGTH:
            return line[len(key) :]
    return None


def _remember(key: str, digest: str) -> None:
    def newest(lines: list[str]) -> list[str]:
        others = [line for line in lines if line[:HASH_LENGTH] != key[:HASH_LENGTH]]
        return [*others, key + digest][-MOST_LINES:]

    change_own_lines(NAME, FIRST_LINE, newest)
