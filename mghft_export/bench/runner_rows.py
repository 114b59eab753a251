"""Rows of `mghft-run`. The C++ program loads a part, and runs it once for each line that it receives."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from mghft_export.bench.subjects import Subject
from mghft_export.errors import MGHFTError
from mghft_export.precision.calibration.default_set import default_calibration_set


def runner_version(program: Path) -> str:
    """What a program prints for `--version`, for example "mghft-run 0.1.0".

    Raises:
        MGHFTError: the program is not `mghft-run`.
    """
    said = ""
    if program.is_file() and os.access(program, os.X_OK):
        found = subprocess.run([program.resolve(), "--version"], capture_output=True, text=True, check=False)
        said = found.stdout.strip()
    if not said.startswith("mghft-run "):
        raise MGHFTError(f"{program} is no mghft-run; build it with `make cpp` and give build/cpp/mghft-run")
    return said


class RunnerRow:
    """Runs a subject in `mghft-run`.

    A run is timed from here. The line to the program and the line back add some hundredths of a millisecond.

    Raises:
        MGHFTError: the program cannot load the part; the message is the program's.
    """

    def __init__(self, subject: Subject) -> None:
        assert subject.runner is not None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (stays open as long as the process)
        self._process = subprocess.Popen(
            _command(subject, subject.runner),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._peak = self._receive()

    def __call__(self) -> None:
        """Run once."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._failed() from error
        self._peak = self._receive()

    def peak_bytes(self) -> int:
        """Peak resident memory of the program after its last run, in bytes."""
        return self._peak

    def close(self) -> None:
        """Let the program end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _receive(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._failed()
        return int(line)

    def _failed(self) -> MGHFTError:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return MGHFTError(said[-1].removeprefix("error: ") if said else f"mghft-run ended (exit code {code})")


def _command(subject: Subject, program: Path) -> list[str]:
    command = [str(program.resolve()), "bench", str(subject.bundle), "--on-request"]
    command += ["--part", subject.part, "--batch", str(subject.batch), "--threads", str(subject.threads)]
    command += ["--calibration", str(subject.stickers or default_calibration_set())]
    if subject.engine is not None:
        return [*command, "--engine", subject.engine]
    return [*command, "--precision", subject.precision, "--provider", subject.provider]
