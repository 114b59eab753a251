"""Progress on stderr while a command works: a bar if it counts something, and a line for each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from mghft_export.terminal import Terminal


def progress_bar(*columns: ProgressColumn, shown: bool = True) -> Progress:
    """A progress bar that disappears when it is done. It does not redirect standard output.

    Args:
        columns: further columns between the count and the time left.
        shown: whether to show the bar at all.
    """
    console = Terminal(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        disable=not (shown and console.is_terminal),  # in a file or a pipe, a bar would leave an empty line
    )


class Steps(NamedTuple):
    """The functions that long work calls to show its progress."""

    start: Callable[[str], None]
    """Called with the step that starts; it ends the step before."""
    stickers: Callable[[int, int], None]
    """Called with how many stickers of this step are done, and how many there are."""


@contextmanager
def steps(first: str) -> Iterator[Steps]:
    """Show a line for each step with its time. If the step counts stickers, show the count and the time left, too."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        _StickersColumn(),
    )
    with Progress(*columns, console=Terminal(stderr=True)) as progress:
        task = progress.add_task(first, total=None)

        def start(text: str) -> None:
            nonlocal task
            finish()
            task = progress.add_task(text, total=None)

        def stickers(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, refresh=True)

        def finish() -> None:
            progress.update(task, completed=1, total=1)

        yield Steps(start, stickers)
        finish()


class _StickersColumn(ProgressColumn):
    """How many stickers of the running step are done, and the time left."""

    def render(self, task: Task) -> Text:
        if task.total is None or task.finished:
            return Text()
        left = "" if task.time_remaining is None else f", {_minutes(task.time_remaining)} left"
        return Text(f"{task.completed:.0f}/{task.total:.0f} stickers{left}")


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
