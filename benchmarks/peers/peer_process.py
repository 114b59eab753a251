"""Work in a process of its own, whose libraries write into a file and not onto the terminal."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mghft_export.errors import MGHFTError

LOG_LINES = 20
"""Of what libraries wrote, shown where a step failed and nobody foresaw it."""


def write_into(log: Path) -> None:
    """Standard output and standard error of this process from now on, also those of libraries in C++."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with log.open("wb") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)


def last_lines(log: Path) -> str:
    """What was written last, or nothing."""
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
    return ""


def run_apart(step: Callable[..., None], *arguments: Any, log: Path) -> str | None:
    """Run a step in a new process, with absolute paths; None, or why it failed in one line."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, log, step, arguments))
    process.start()
    theirs.close()
    try:
        reason: str | None = ours.recv()
    except EOFError:
        process.join()
        reason = f"the process ended (exit code {process.exitcode})"
        if process.exitcode == -9:
            reason = "the process was killed, most likely for want of memory"
    process.join()
    return reason


def _run(answer: Connection, log: Path, step: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    write_into(log)
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # ONNX Runtime's tools leave files where they run
            try:
                step(*arguments)
            finally:
                os.chdir(log.parent)
    except Exception as error:  # whatever a library dies of is the reason why its row is left out
        traceback.print_exc()
        answer.send(one_line(error))
    else:
        answer.send(None)


def one_line(error: Exception) -> str:
    """People's messages stand alone; of others the type says half of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, MGHFTError):
        return " ".join(lines)
    return f"{type(error).__name__}: {(lines or ['no reason given'])[0]}"
