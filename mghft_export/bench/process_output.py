"""Send what the process of a row writes to a file, and find the part that explains a failure."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mghft_export.errors import MGHFTError

LAST_LINES = 20
"""Number of last lines to keep of a failed process; the end of a traceback explains the failure."""


def redirect(output: Path) -> None:
    """Send standard output and standard error to a file, also those of C++ libraries and of child processes."""
    sys.stdout = sys.stderr = output.open("a", encoding="utf-8", errors="replace", buffering=1)
    for descriptor in (1, 2):
        os.dup2(sys.stderr.fileno(), descriptor)


def last_lines(output: Path) -> str | None:
    """The end of what a process wrote; None if it wrote nothing."""
    try:
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return "\n".join(lines[-LAST_LINES:]) or None


def reason(error: Exception) -> str:
    """An error in one line. This package's own messages stand alone; other errors also need their type."""
    if isinstance(error, MGHFTError):
        return str(error)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or [''])[0]}"
