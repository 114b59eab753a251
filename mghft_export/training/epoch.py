"""One epoch: steps of forward, backward and update, each reported as it ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mghft_export.errors import MGHFTError
from mghft_export.training.data import Batch, Item, StickerData
from mghft_export.training.distributed import mean_over_processes
from mghft_export.training.losses import step_losses
from mghft_export.training.recipe import Recipe


@dataclass(frozen=True)
class StepReport:
    """One step, as a progress bar shows it."""

    epoch: int
    step: int
    steps: int
    loss: float
    cross_entropy: float
    alignment: float
    images_per_second: float
    lr: float


class Reporter(Protocol):
    """Receives the progress of a training; only the main process reports."""

    def on_step(self, report: StepReport) -> None: ...

    def on_epoch(self, scalars: dict[str, float]) -> None: ...


def run_epoch(
    network: nn.Module,
    optimizer: Any,
    loader: DataLoader[Item],
    recipe: Recipe,
    weight_by_class: Tensor | None,
    accelerator: Accelerator,
    epoch: int,
    told: Sequence[Reporter],
    output: Path,
) -> dict[str, float]:
    """One pass over the training split: mean losses and speed.

    Raises:
        MGHFTError: the loss is not finite.
    """
    network.train()
    data = loader.dataset
    assert isinstance(data, StickerData)
    steps = len(loader)
    sums = torch.zeros(3, dtype=torch.float64)
    start = time.perf_counter()
    for step, host_batch in enumerate(loader):
        batch: Batch = host_batch.to(accelerator.device)
        last = step + 1 == steps
        update = last or (step + 1) % recipe.accumulate == 0
        with accelerator.autocast(), contextlib.nullcontext() if update else accelerator.no_sync(network):
            losses = step_losses(network, batch, recipe, data.blank, weight_by_class)
        values = torch.stack([losses.total, losses.cross_entropy, losses.alignment]).detach()
        means = mean_over_processes(values).double().cpu()
        if not torch.isfinite(means[0]):
            raise MGHFTError(not_finite("loss", float(means[0]), epoch, output, step))
        # Accelerate divides by its accumulation steps; the last group of an epoch may be shorter.
        group = recipe.accumulate if step < steps - steps % recipe.accumulate else (steps % recipe.accumulate)
        accelerator.backward(losses.total * recipe.accumulate / group)
        if update:
            if recipe.clip_grad is not None:
                accelerator.clip_grad_norm_(network.parameters(), recipe.clip_grad)
            optimizer.step()
            optimizer.zero_grad()
        sums += means
        seen = (step + 1) * recipe.batch_size * accelerator.num_processes
        report = StepReport(
            epoch=epoch + 1,
            step=step + 1,
            steps=steps,
            loss=float(means[0]),
            cross_entropy=float(means[1]),
            alignment=float(means[2]),
            images_per_second=seen / (time.perf_counter() - start),
            lr=float(optimizer.param_groups[0]["lr"]),
        )
        for reporter in told:
            reporter.on_step(report)
    total, cross_entropy, alignment = (sums / steps).tolist()
    return {
        "loss": total,
        "cross_entropy": cross_entropy,
        "alignment": alignment,
        "images_per_second": report.images_per_second,
    }


def not_finite(what: str, value: float, epoch: int, output: Path, step: int | None = None) -> str:
    """The error message for a loss that is NaN or infinite."""
    where = f"epoch {epoch + 1}" + ("" if step is None else f", step {step + 1}")
    kept = output / "last.safetensors"
    kept_text = f"; the last good checkpoint is {kept}" if kept.exists() else ""
    return f"the {what} became {value} in {where}{kept_text}; start again with a lower --lr or with --precision fp32"
