"""Outputs are written beside their place and renamed, so that nothing half-written is ever found there."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mghft_export.errors import MGHFTError


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a path to write; on success it becomes ``path``, on failure it is removed.

    Raises:
        MGHFTError: the folder cannot be made or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise MGHFTError(f"cannot write {path}: {error.strerror}; choose another place with -o") from error
    os.close(handle)
    partial = Path(name)
    # mkstemp makes private files; what replaces `path` should have the permissions any new file gets.
    partial.chmod(0o666 & ~_umask())
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise MGHFTError(
            f"cannot write {path}: {error.strerror}; free some space or choose another place"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; on success it replaces the folder ``path``, on failure it is removed.

    Raises:
        MGHFTError: ``path`` is a file, the folder cannot be made or the disk is full.
    """
    if path.exists() and not path.is_dir():
        raise MGHFTError(f"{path} is a file; choose a folder with -o")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise MGHFTError(f"cannot write {path}: {error.strerror}; choose another place with -o") from error
    partial.chmod(0o777 & ~_umask())
    old = partial.with_name(partial.name + ".old")
    try:
        yield partial
        if path.exists():
            path.rename(old)
        partial.rename(path)
    except OSError as error:
        if old.exists() and not path.exists():
            old.rename(path)
        raise MGHFTError(
            f"cannot write {path}: {error.strerror}; free some space or choose another place"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
