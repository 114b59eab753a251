"""Progress of `mghft-bench` on standard error: a live table on a terminal, otherwise one line per row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mghft_export.bench.compare import WARM_UP_RUNS, AnySubject, Step
from mghft_export.bench.subjects import Copy, Subject
from mghft_export.terminal import Terminal

Watchers = tuple[Callable[[int], None], Callable[[Step], None]]
"""`on_round` and `on_step` of a comparison."""


@contextmanager
def shown_progress(subjects: Sequence[AnySubject], *, title: str, iterations: int) -> Iterator[Watchers]:
    """Show the progress of a comparison while it runs. On a terminal, the display disappears afterwards."""
    console = Terminal(stderr=True)
    if not console.is_terminal:
        yield (lambda _: None), _lines(console, subjects, title)
        return
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), console=console
    )
    task = bar.add_task(title, total=iterations + WARM_UP_RUNS)
    steps: dict[int, Step] = {}
    with Live(bar, console=console, transient=True, refresh_per_second=4) as live:

        def on_step(step: Step) -> None:
            steps[step.number] = step
            live.update(Group(bar, _table(subjects, steps)))

        yield (lambda done: bar.update(task, completed=done)), on_step


def _lines(console: Console, subjects: Sequence[AnySubject], title: str) -> Callable[[Step], None]:
    """Print a line when the first times of a row are known. The notes of the result list the rows without times."""
    told: set[int] = set()

    def on_step(step: Step) -> None:
        if step.number not in told and step.state == "runs":
            told.add(step.number)
            name, about = _name(subjects[step.number]), f"about {step.median_ms or 0:.1f} ms"
            console.print(Text(f"{title}: {name}, {about}"), soft_wrap=True)

    return on_step


def _table(subjects: Sequence[AnySubject], steps: dict[int, Step]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("row", "now", "rounds", "median ms so far"):
        table.add_column(heading, justify="left" if heading in ("row", "now") else "right", style="dim")
    for number, step in sorted(steps.items()):
        median = f"{step.median_ms:.1f}" if step.median_ms is not None else ""
        table.add_row(Text(_name(subjects[number])), step.state, str(step.rounds or ""), median)
    return table


def _name(subject: AnySubject) -> str:
    if isinstance(subject, Subject):
        return subject.name
    return "the machine's copy" if isinstance(subject, Copy) else "the machine's product"
