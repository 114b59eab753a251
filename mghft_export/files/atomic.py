"""Outputs are written under a temporary name and then renamed, so that no reader ever finds a half-written output.

If a process is killed, the next process that writes the same output removes what it left. The temporary name holds the
process's id and the machine, since several machines may share the disk.
"""

import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        _remove_left_behind(path)
        handle, name = tempfile.mkstemp(prefix=_prefix(path), dir=path.parent)
    except OSError as error:
        raise MGHFTError(f"cannot write {path}: {error.strerror}; choose another place") from error
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
        raise MGHFTError(f"{path} is a file; choose a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(path)
        partial = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=path.parent))
    except OSError as error:
        raise MGHFTError(f"cannot write {path}: {error.strerror}; choose another place") from error
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


def _prefix(path: Path) -> str:
    """Prefix of the temporary names of this process's outputs."""
    return f".{path.name}.{_machine()}-{os.getpid()}-"


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _remove_left_behind(path: Path) -> None:
    """Remove what ended processes of this machine left of the same output.

    A process that was killed between its two renames had moved the old folder away. That folder is moved back.
    """
    unfinished = re.compile(rf"\.{re.escape(path.name)}\.{_machine()}-([0-9]+)-[^.]*(\.old)?")
    with suppress(OSError):  # the output can be written even if leftovers stay
        for item in list(path.parent.iterdir()):
            match = unfinished.fullmatch(item.name)
            if match is None or _is_alive(int(match[1])):
                continue
            if match[2] and not path.exists():
                item.rename(path)
            elif item.is_dir():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    """Whether a process with this id exists; True if that cannot be found out."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
