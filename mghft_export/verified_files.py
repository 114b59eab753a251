"""Hashes of files that were read before, so that a bundle's graphs are hashed once and not at every start.

A file is known again by its path, device, inode, size, and the times of its last change, of content and of inode, to
the nanosecond: a file that is written to, replaced or touched is hashed again. What changed less than two seconds
before it was hashed is not remembered, since a second change could bear the same time. Hashes are kept in
`$XDG_CACHE_HOME/mghft-export/verified/files.txt`, which is used only where folder and file belong to the user and
nobody else can write them. `mghft-run` reads and writes the same file (`cpp/src/verified_files.hpp`). With
`MGHFT_ALWAYS_HASH=1` in the environment every file is hashed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mghft_export.cache_folder import cache_folder
from mghft_export.environment import is_on
from mghft_export.hashing import sha256

NAME = "files.txt"
FIRST_LINE = "mghft-export verified files 1"
MOST_LINES = 256
MOST_BYTES = 1 << 20
"""Of the file; more cannot be ours."""
HASH_LENGTH = 64
SETTLED = 2_000_000_000
"""Nanoseconds."""

_one_at_a_time = threading.Lock()
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


def _key(path: Path, state: os.stat_result) -> str:
    """A line of the file is this and the file's hash."""
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()
    times = f"{state.st_mtime_ns} {state.st_ctime_ns}"
    return f"{name} {state.st_dev} {state.st_ino} {state.st_size} {times} "


def _recall(key: str) -> str | None:
    with suppress(OSError, RuntimeError), _folder(make=False) as folder:
        for line in _read_lines(folder):
            if line.startswith(key) and len(line) == len(key) + HASH_LENGTH:
                return line[len(key) :]
    return None


def _remember(key: str, digest: str) -> None:
    with _one_at_a_time, _folder(make=True) as folder:
        lines = [line for line in _read_lines(folder) if line[:HASH_LENGTH] != key[:HASH_LENGTH]]
        lines = [FIRST_LINE, *[*lines, key + digest][-MOST_LINES:]]
        partial = f".{NAME}.{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=folder)  # of a process that was ended, whose number is taken again
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(partial, flags, 0o600, dir_fd=folder), "w", encoding="ascii") as stream:
                stream.write("\n".join(lines) + "\n")
            os.rename(partial, NAME, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(partial, dir_fd=folder)
            raise


@contextmanager
def _folder(*, make: bool) -> Iterator[int]:
    """The folder, opened, so that nobody can put another one in its place.

    Raises:
        OSError: there is none, or others can write it.
        RuntimeError: the user has no home.
    """
    path = cache_folder() / "verified"
    if make:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if not _is_ours(folder, stat.S_IFDIR):
            raise PermissionError(f"{path} can be written by others")
        yield folder
    finally:
        os.close(folder)


def _read_lines(folder: int) -> list[str]:
    """What was remembered; nothing where it cannot be trusted."""
    try:
        file = os.open(NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return []
    with os.fdopen(file, "rb") as stream:
        if not _is_ours(file, stat.S_IFREG):
            return []
        content = stream.read(MOST_BYTES)
    lines = content.decode("ascii", "replace").split("\n")[:-1]
    return lines[1:] if len(content) < MOST_BYTES and lines and lines[0] == FIRST_LINE else []


def _is_ours(opened: int, kind: int) -> bool:
    """Nobody but the user can have written it."""
    state = os.fstat(opened)
    mode = state.st_mode
    return (
        stat.S_IFMT(mode) == kind
        and state.st_uid == os.geteuid()
        and not mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
