"""Remembered hashes of files, so that a bundle's graphs are hashed once and not at every start.

A file is recognised by its path, device, inode and size, and by the times at which its content and its inode last
changed, in nanoseconds. A file that was written to, replaced or touched is hashed again. A hash is not remembered if
the file changed less than two seconds before, since a second change could get the same time. Hashes are kept in
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
"""Nanoseconds after a file's last change from which its hash is remembered."""

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
    # The hash is not remembered if somebody wrote to the file while it was hashed.
    if (
        current_time() - max(state.st_mtime_ns, state.st_ctime_ns) >= SETTLED
        and _key(path, path.stat()) == key
    ):
        with suppress(OSError, RuntimeError):  # the file is then hashed at the next start, too
            _remember(key, digest)
    return digest


def state_of(path: Path) -> tuple[int, ...] | None:
    """Numbers that change when a file is written to or replaced; None if there is no file."""
    try:
        return _numbers(path.stat())
    except OSError:
        return None


def _numbers(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _key(path: Path, state: os.stat_result) -> str:
    """The start of a file's line in `files.txt`. The file's hash follows it."""
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
