"""Runs work in its own process, so that its libraries write into a file and not to the terminal."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mghft_export.bench.process_output import reason, redirect


def run_apart(step: Callable[..., None], *arguments: Any, log: Path) -> str | None:
    """Run a step in a new process, with absolute paths; return None, or in one line why it failed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, log, step, arguments))
    process.start()
    theirs.close()
    try:
        failure: str | None = ours.recv()
    except EOFError:
        process.join()
        failure = f"the process ended (exit code {process.exitcode})"
        if process.exitcode == -9:
            failure = "the process was killed, most likely for want of memory"
    process.join()
    return failure


def _run(answer: Connection, log: Path, step: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    redirect(log)
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # ONNX Runtime's tools leave files where they run
            try:
                step(*arguments)
            finally:
                os.chdir(log.parent)
    except Exception as error:  # any error of a library is the reason why its row is left out
        traceback.print_exc()
        answer.send(reason(error))
    else:
        answer.send(None)
