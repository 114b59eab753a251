"""Lines in a file of the user's cache that nobody else can have written.

The file is used only if it and its folder (`$XDG_CACHE_HOME/mghft-export/verified`) belong to the user, and nobody else
can write to them. `mghft-run` reads and writes the same files (`cpp/src/own_lines.hpp`).
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from mghft_export.files.cache_folder import cache_folder

MOST_BYTES = 1 << 20
"""A file of this size or larger is not read: this package did not write it."""

_one_at_a_time = threading.Lock()


def read_own_lines(name: str, first_line: str) -> list[str]:
    """The lines of a file after its first one; none if the file is missing or cannot be trusted."""
    with suppress(OSError, RuntimeError), _folder(make=False) as folder:
        return _read_lines(folder, name, first_line)
    return []


def change_own_lines(name: str, first_line: str, change: Callable[[list[str]], Sequence[str]]) -> None:
    """Write a file again with its lines changed.

    Raises:
        OSError: it cannot be written, or others can write its folder.
        RuntimeError: the user has no home.
    """
    with _one_at_a_time, _folder(make=True) as folder:
        lines = [first_line, *change(_read_lines(folder, name, first_line))]
        partial = f".{name}.{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=folder)  # left by an ended process that had the same id
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(partial, flags, 0o600, dir_fd=folder), "w", encoding="ascii") as stream:
                stream.write("\n".join(lines) + "\n")
            os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(partial, dir_fd=folder)
            raise


@contextmanager
def _folder(*, make: bool) -> Iterator[int]:
    """Open the folder, so that nobody can put another folder in its place.

    Raises:
        OSError: there is no folder, or others can write to it.
        RuntimeError: the user has no home.
    """
    path = cache_folder("verified")
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


def _read_lines(folder: int, name: str, first_line: str) -> list[str]:
    """The lines after the first one; none if the file cannot be trusted."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return []
    with os.fdopen(file, "rb") as stream:
        if not _is_ours(file, stat.S_IFREG):
            return []
        content = stream.read(MOST_BYTES)
    lines = content.decode("ascii", "replace").split("\n")[:-1]
    return lines[1:] if len(content) < MOST_BYTES and lines and lines[0] == first_line else []


def _is_ours(opened: int, kind: int) -> bool:
    """Whether nobody but the user can have written it."""
    state = os.fstat(opened)
    mode = state.st_mode
    return (
        stat.S_IFMT(mode) == kind
        and state.st_uid == os.geteuid()
        and not mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
