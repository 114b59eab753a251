"""The progress of a build, and a way to stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mghft_export.stopping import Stopped, handling_stops

OnProgress = Callable[[str, float], None]
"""Called with the innermost phase's name and the fraction of the build that is done, 0 to 1."""


class Stop:
    """A request to stop. Ctrl-C or another signal makes it, and the builder reads it after its next step.

    Attributes:
        asked: the signal's number; None before a signal came.
    """

    def __init__(self) -> None:
        self.asked: int | None = None

    def check(self) -> None:
        """Stop here if a stop was requested.

        Raises:
            Stopped: a stop was requested.
        """
        if self.asked is not None:
            raise Stopped(self.asked)


@contextmanager
def stopping_on_interrupt() -> Iterator[Stop]:
    """Turn a signal into a request to stop. A second signal interrupts at once.

    The first signal raises nothing: an exception thrown through the builder's C++ code would end the process.
    """
    stop = Stop()

    def ask(number: int) -> None:
        stop.check()
        stop.asked = number

    with handling_stops(ask):
        yield stop


class Phases:
    """The progress of nested phases, each with its number of steps, as one fraction.

    The builder's threads may open phases of the same name at once. They share one entry, and each start resets it.
    """

    def __init__(self) -> None:
        self._open: dict[str, list[int]] = {}
        self._parents: dict[str, str | None] = {}
        self._highest = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        self._open[name] = [0, max(steps, 1)]
        self._parents[name] = parent

    def step(self, name: str, number: int) -> None:
        """A phase's step, counted from 0, is done."""
        if name in self._open:
            self._open[name][0] = number + 1

    def finish(self, name: str) -> None:
        """A phase is over, with or without all its steps."""
        self._open.pop(name, None)

    def fraction(self) -> float:
        """The fraction that is done. It never falls."""
        inner, width = 0.0, 1.0
        name = next((name for name in self._open if self._parents[name] not in self._open), None)
        while name is not None:
            done, steps = self._open[name]
            inner += width * min(done, steps) / steps
            width /= steps
            parent = name
            name = next((item for item in self._open if self._parents[item] == parent), None)
        self._highest = max(self._highest, min(inner, 1.0))
        return self._highest


def progress_monitor(trt: Any, on_progress: OnProgress, stop: Stop) -> Any:
    """The package's progress monitor. It reports progress, and cancels the build once a stop is requested."""
    phases = Phases()

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            phases.start(phase_name, parent_phase or None, num_steps)
            on_progress(phase_name, phases.fraction())

        def phase_finish(self, phase_name: str) -> None:
            phases.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            phases.step(phase_name, step)
            on_progress(phase_name, phases.fraction())
            return stop.asked is None

    return Monitor()
