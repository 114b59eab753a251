"""Writes a training's scalars for TensorBoard."""

from __future__ import annotations

from pathlib import Path

from mghft_export.training.epoch import StepReport


class TensorBoard:
    """Scalars of each epoch under `RUN/tensorboard`."""

    def __init__(self, output: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(output / "tensorboard"))

    def on_step(self, report: StepReport) -> None:
        """Does nothing: one scalar per epoch is enough."""

    def on_epoch(self, scalars: dict[str, float]) -> None:
        """Write all scalars of an epoch."""
        for name, value in scalars.items():
            if name != "epoch":
                self.writer.add_scalar(name, value, int(scalars["epoch"]))
        self.writer.flush()
