"""Progress of `mghft-export train`."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mghft_export.training.epoch import StepReport


class Bar:
    """One bar per epoch with losses and images/s, and a line of validation metrics after it."""

    def __init__(self, console: Console, epochs: int) -> None:
        self.epochs = epochs
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[values]}", markup=False),
            TimeRemainingColumn(),
            console=console,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def on_step(self, report: StepReport) -> None:
        """Move the bar."""
        if self.task is None:
            description = f"epoch {report.epoch}/{self.epochs}"
            self.task = self.progress.add_task(description, total=report.steps, values="")
        values = (
            f"loss {report.loss:.3f} (class {report.cross_entropy:.3f}, alignment {report.alignment:.2f}), "
            f"{report.images_per_second:.0f} images/s"
        )
        self.progress.update(self.task, completed=report.step, values=values)

    def on_epoch(self, scalars: dict[str, float]) -> None:
        """Replace the bar by the epoch's line."""
        if self.task is not None:
            self.progress.remove_task(self.task)
            self.task = None
        self.progress.console.print(
            f"epoch {scalars['epoch']:.0f}: loss {scalars['loss']:.3f}, validation loss {scalars['val_loss']:.3f}, "
            f"accuracy {scalars['val_accuracy']:.1%}, macro-F1 {scalars['val_macro_f1']:.3f}"
        )
