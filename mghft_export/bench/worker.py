"""Each subject lives in a process of its own: its memory is its own, and what kills it kills no other row."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from multiprocessing.connection import Connection
from types import TracebackType

from mghft_export.bench.subjects import Gemm, Subject, prepare
from mghft_export.errors import MGHFTError

TIMEOUT = 600.0
"""Seconds after which a silent process counts as hanging."""

REWARM_SECONDS = 0.3
REWARM_BELOW = 1.0
"""Seconds of a run above which cold caches, a matter of milliseconds, do not show."""


class RowFailed(MGHFTError):
    """A row cannot be measured; the message says why."""


class Worker:
    """A subject in its process, timed on demand.

    Raises:
        RowFailed: the subject cannot be prepared.
    """

    def __init__(self, subject: Subject | Gemm, *, timeout: float = TIMEOUT) -> None:
        context = multiprocessing.get_context(
            "spawn"
        )  # a fork would share the parent's memory and thread pools
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, subject), daemon=True)
        self._timeout = timeout
        self._process.start()
        other.close()
        self.loaded_bytes = int(self._receive())
        """Resident memory after loading, before the first run."""

    def time_once(self) -> float:
        """Seconds of one run, after at least :data:`REWARM_SECONDS` of untimed ones where runs are short.

        While the other rows had their turns, this row's caches went cold and its pages may have been reclaimed.
        """
        self._connection.send("run")
        return self._receive()

    def peak_bytes(self) -> int:
        """Peak resident memory of the process so far."""
        self._connection.send("peak")
        return int(self._receive())

    def _receive(self) -> float:
        try:
            if not self._connection.poll(self._timeout):
                raise RowFailed(f"no answer within {self._timeout:.0f} s")
            answer = self._connection.recv()
        except (EOFError, ConnectionResetError) as error:
            self._process.join(5)
            raise RowFailed(
                f"the process ended (exit code {self._process.exitcode}); out of memory?"
            ) from error
        if isinstance(answer, str):
            raise RowFailed(answer)
        return float(answer)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, subject: Subject | Gemm) -> None:
    """Run in the child: prepare, then answer until the parent kills it."""
    try:
        run = prepare(subject)
        connection.send(_peak_bytes())
        seconds = 0.0
        while True:
            if connection.recv() == "peak":
                connection.send(_peak_bytes())
                continue
            if seconds < REWARM_BELOW:
                rewarmed = time.perf_counter()
                while time.perf_counter() - rewarmed < REWARM_SECONDS:
                    run()
            start = time.perf_counter()
            run()
            seconds = time.perf_counter() - start
            connection.send(seconds)
    except EOFError:
        return
    except Exception as error:  # whatever a row dies of belongs into its row, not into the other rows' run
        connection.send(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
