"""Each subject runs in its own process, so its memory is measured alone and a crash does not end other rows."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from mghft_export.bench.gpu_times import GpuTimes
from mghft_export.bench.memory import free_bytes, own_peak_bytes, spare_bytes
from mghft_export.bench.power import Energy, measure_energy, open_meter
from mghft_export.bench.prepare import prepare
from mghft_export.bench.process_output import last_lines, reason, redirect
from mghft_export.bench.subjects import Copy, Gemm, Subject
from mghft_export.bench.warm_up import MOST_SECONDS, WarmUp, warm_up
from mghft_export.errors import MGHFTError

TIMEOUT = 600.0
"""Seconds after which a silent process counts as hanging."""

REWARM_SECONDS = 0.1
REWARM_BELOW = 1.0
"""Rows with runs longer than this many seconds are not rewarmed, because cold caches cost only milliseconds."""

ENDING_SECONDS = 5.0

QUIET_TRACKER = "ignore:resource_tracker:UserWarning"
"""This filter hides a warning of multiprocessing, which removes the semaphores of a killed process."""

POLL_SECONDS = 0.05
"""Seconds between two checks of the memory; a process can fill some hundred megabytes meanwhile."""


class RowFailed(MGHFTError):
    """A row cannot be measured; the message says why.

    Attributes:
        said: the last lines that its process wrote, if the failure was unexpected.
    """

    def __init__(self, message: str, said: str | None = None) -> None:
        super().__init__(message)
        self.said = said


class LeftOut(RowFailed):
    """A row was not started, because this machine cannot run it."""


class OutOfMemory(RowFailed):
    """A row was stopped because memory ran short."""


class OutOfTime(RowFailed):
    """A row was stopped because its share of the time was used up."""


@dataclass(frozen=True)
class _Failure:
    message: str
    memory: bool = False
    foreseen: bool = False


class Worker:
    """A subject in its own process, timed on demand.

    Args:
        timeout: most seconds for one answer: loading, warming up, or the runs of one round.
        memory: largest resident memory of the process, in bytes; by default all free memory except a reserve.
    """

    def __init__(
        self, subject: Subject | Gemm | Copy, *, timeout: float = TIMEOUT, memory: int | None = None
    ) -> None:
        if QUIET_TRACKER not in sys.warnoptions:
            sys.warnoptions.append(QUIET_TRACKER)  # multiprocessing starts its tracker with these options
        # A fork would share the parent's memory and thread pools.
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        handle, name = tempfile.mkstemp(prefix="mghft-bench-")
        os.close(handle)
        self._output = Path(name)
        self._process = context.Process(target=_serve, args=(other, subject, self._output), daemon=True)
        self._timeout = timeout
        self._memory = memory
        self._process.start()
        other.close()
        self.loaded_bytes = 0
        """Resident memory after loading, before the first run."""

    def load(self, within: float = math.inf) -> None:
        """Wait until the subject is prepared. Preparation began with the process, so several can prepare at once.

        Args:
            within: seconds that are left for it. Here and below, the process is stopped when they are over.

        Raises:
            RowFailed: the subject cannot be prepared.
        """
        self.loaded_bytes = int(self._receive(within))

    def warm_up(self, *, most: float = MOST_SECONDS, within: float = math.inf) -> WarmUp:
        """Run until stable, as :func:`~mghft_export.bench.warm_up.warm_up` does."""
        found: WarmUp = self._ask("warm-up", most, within, within=within)
        return found

    def burst(self, seconds: float = 0.0, within: float = math.inf) -> list[float]:
        """Time at least one run, and more until they add up to `seconds`; return the seconds of each.

        Short runs begin with :data:`REWARM_SECONDS` of runs that are not timed: while the other rows had their turns,
        this row's caches went cold and its pages may have been reclaimed.
        """
        found: list[float] = self._ask("burst", seconds, within=within)
        return found

    def phases(self, runs: int) -> GpuTimes | None:
        """Times of transfers and compute separately; None if the subject cannot tell."""
        found: GpuTimes | None = self._ask("phases", runs)
        return found

    def energy(self, seconds: float) -> Energy | None:
        """Power over `seconds` of runs; None if nothing measures it."""
        found: Energy | None = self._ask("energy", seconds)
        return found

    def peak_bytes(self) -> int:
        """Peak resident memory of the process so far."""
        return int(self._ask("peak"))

    def end(self) -> None:
        """Ask the process to end by itself, so that its children end in order. Several processes can end at once."""
        with contextlib.suppress(OSError):
            self._connection.send(("end",))

    def close(self, within: float = ENDING_SECONDS) -> None:
        """Wait until the process ends; kill it if it does not."""
        self.end()
        self._process.join(within)
        self.kill()

    def kill(self) -> None:
        """Kill the process and its children, and free its memory."""
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    child.kill()
        self._process.kill()
        self._process.join()
        self._output.unlink(missing_ok=True)

    def _ask(self, *question: Any, within: float = math.inf) -> Any:
        try:
            self._connection.send(question)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._ended() from error
        return self._receive(within)

    def _receive(self, within: float = math.inf) -> Any:
        started = time.monotonic()
        try:
            while not self._connection.poll(POLL_SECONDS):
                self._guard()
                waited = time.monotonic() - started
                if waited > self._timeout:
                    self.kill()
                    raise RowFailed(f"no answer within {self._timeout:.0f} s")
                if waited > within:
                    self.kill()
                    raise OutOfTime(f"not done after {waited:.0f} s")
            answer = self._connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self._ended() from error
        if isinstance(answer, _Failure):
            kind = OutOfMemory if answer.memory else RowFailed
            raise kind(answer.message, None if answer.foreseen or answer.memory else last_lines(self._output))
        return answer

    def _ended(self) -> RowFailed:
        self._process.join(5)
        code = self._process.exitcode
        if code == -9:
            return OutOfMemory("the process was killed, most likely for want of memory")
        return RowFailed(f"the process ended (exit code {code})", last_lines(self._output))

    def _guard(self) -> None:
        """Stop a process that takes more than its share.

        Raises:
            OutOfMemory: the process took more.
        """
        try:
            row = psutil.Process(self._process.pid)
            # The row may run in a child process. The sum of both would count shared pages twice.
            used = max(int(process.memory_info().rss) for process in (row, *row.children()))
        except psutil.Error:
            return
        free = free_bytes()
        if self._memory is not None and used > self._memory:
            self.kill()
            raise OutOfMemory(f"needs more than the {self._memory / 1e9:.1f} GB that it may use")
        if free < spare_bytes():
            self.kill()
            raise OutOfMemory(
                f"out of memory: the row used {used / 1e9:.1f} GB and {free / 1e9:.1f} GB were left"
            )

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _serve(connection: Connection, subject: Subject | Gemm | Copy, output: Path) -> None:
    """Run in the child: prepare, then answer until the parent kills it.

    The output of libraries, mostly warnings, goes into a file. On the terminal it would appear between the tables or
    inside the JSON.
    """
    redirect(output)
    try:
        run = prepare(subject)
        peak_bytes = getattr(run, "peak_bytes", own_peak_bytes)
        connection.send(peak_bytes())
        rewarm = True
        while True:
            question, *arguments = connection.recv()
            if question == "end":
                getattr(run, "close", lambda: None)()
                return
            if question == "peak":
                connection.send(peak_bytes())
            elif question == "warm-up":
                most, within = arguments
                warm = warm_up(run, most=most, within=within)
                rewarm = warm.usual < REWARM_BELOW
                connection.send(warm)
            elif question == "phases":
                phases = getattr(run, "phases", None)
                connection.send(phases(*arguments) if phases is not None else None)
            elif question == "energy":
                meter = open_meter()
                connection.send(meter and measure_energy(meter, run, *arguments))
            else:
                times = _burst(run, *arguments, rewarm=rewarm)
                rewarm = times[-1] < REWARM_BELOW
                connection.send(times)
    except EOFError:
        return
    except Exception as error:  # an error belongs to its row and must not stop the others
        if not isinstance(error, MGHFTError):
            traceback.print_exc()
        sys.stderr.flush()
        with contextlib.suppress(OSError):
            connection.send(_Failure(reason(error), _is_memory(error), isinstance(error, MGHFTError)))


def _burst(run: Callable[[], object], seconds: float, *, rewarm: bool) -> list[float]:
    if rewarm:
        started = time.perf_counter()
        while time.perf_counter() - started < REWARM_SECONDS:
            run()
    times: list[float] = []
    while not times or sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def _is_memory(error: Exception) -> bool:
    """Whether an error means that memory ran out; PyTorch and ONNX Runtime say so only in their messages."""
    words = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or "allocate memory" in words
        or "out of memory" in words
        or "bad_alloc" in words
    )
