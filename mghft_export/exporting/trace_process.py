"""Traces a branch in its own process: torch's exporter is single-threaded, so two branches take the time of one."""

from __future__ import annotations

import contextlib
import errno
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mghft_export.errors import ExportError, MGHFTError
from mghft_export.exporting.trace import export_branch
from mghft_export.fused.branch_modules import Branch


@contextmanager
def traced_beside(branch: Branch, path: Path, *, opset: int) -> Iterator[None]:
    """Write the branch to `path` while the body runs; the file is complete when the context ends.

    Raises:
        ExportError: as :func:`~mghft_export.exporting.trace.export_branch`.
    """
    handed_over = path.with_suffix(".branch")
    _hand_over(branch, handed_over)
    command = [sys.executable, "-m", __name__, str(handed_over), str(path), str(opset)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield
        _, errors = process.communicate()
    finally:
        process.kill()
        process.wait()
        handed_over.unlink(missing_ok=True)
    if process.returncode:
        reason = (
            errors.strip().splitlines()[-1]
            if errors.strip()
            else f"its process ended with {process.returncode}"
        )
        raise ExportError(
            reason if process.returncode == 2 else f"the {branch.name} branch cannot be traced: {reason}"
        )


def _hand_over(branch: Branch, file: Path) -> None:
    """Write the branch to a file for the child process.

    Raises:
        ExportError: the disk is full, or the file cannot be written for another reason.
    """
    try:
        torch.save(branch, file)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            reason = error.strerror or str(error)
            raise ExportError(
                f"cannot write the {branch.name} branch to {file.parent}: {reason}; choose another place with -o"
            ) from error
        # torch's writer says only that it could not write, not why.
        if isinstance(error, RuntimeError) and not re.search(
            "PytorchStreamWriter|inline_container", str(error)
        ):
            raise
        raise ExportError(
            f"cannot write the {branch.name} branch to {file.parent}: the disk is full; free some space or choose "
            "another place with -o"
        ) from error


def main(handed_over: Path, path: Path, opset: int) -> None:
    """Run in the child process."""
    # The file holds a whole module, so weights_only must be False. The parent wrote it a moment ago.
    branch: Branch = torch.load(handed_over, weights_only=False)
    try:
        export_branch(branch, path, opset=opset)
    except MGHFTError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
