"""What a process of a row writes goes into a file; of that, and of what it dies of, the part that tells why."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mghft_export.errors import MGHFTError

LAST_LINES = 20
"""Of what a process wrote before it failed; a traceback's end is what tells."""


def redirect(output: Path) -> None:
    """Standard output and standard error, also those of libraries in C++ and of processes that a row starts."""
    sys.stdout = sys.stderr = output.open("a", encoding="utf-8", errors="replace", buffering=1)
    for descriptor in (1, 2):
        os.dup2(sys.stderr.fileno(), descriptor)


def last_lines(output: Path) -> str | None:
    """The end of what a process wrote; None where it wrote nothing."""
    try:
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return "\n".join(lines[-LAST_LINES:]) or None


def reason(error: Exception) -> str:
    """People's messages stand alone; of others the type says half of it."""
    if isinstance(error, MGHFTError):
        return str(error)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {(lines or [''])[0]}"
