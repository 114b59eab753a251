"""The training loop: epochs of steps, validation, checkpoints, and a stop when something is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from mghft_export.errors import MGHFTError
from mghft_export.stickers.dataset import StickerSet
from mghft_export.training.epoch import Reporter, not_finite, run_epoch
from mghft_export.training.qat.start import read_plan
from mghft_export.training.random_state import seed_everything
from mghft_export.training.recipe import Recipe
from mghft_export.training.saving import STATE_FILE, History, keep_checkpoints, keep_state, read_saved
from mghft_export.training.setup import make_accelerator, prepare_run
from mghft_export.training.validation import evaluate


@dataclass(frozen=True)
class TrainingResult:
    """Where the checkpoints are, and the epochs' scalars."""

    best: Path
    last: Path
    best_metric: float
    best_epoch: int
    history: tuple[dict[str, float], ...]
    stopped_early: bool
    left_out: tuple[str, ...] = ()
    """Quantised products that `qat` could not train through: they keep the ranges of its recipe."""


def train(
    dataset: StickerSet,
    recipe: Recipe,
    output: Path,
    *,
    resume: bool = False,
    reporters: Callable[[Path], list[Reporter]] = lambda output: [],
    tokenizer: Path | None = None,
    cache: Path | None = None,
    stop_after: int | None = None,
    start: Path | None = None,
    qat: Path | None = None,
) -> TrainingResult:
    """Train a model.

    Args:
        output: the run's folder: `best` and `last` checkpoints, `state.pt`, `history.json`.
        resume: continue after the last epoch in the folder.
        reporters: makes the reporters, given `output`; called only in the main process.
        cache: folder of frozen text features.
        stop_after: stop after this many epochs even if the recipe has more; the schedule stays the recipe's.
        start: a checkpoint to fine-tune, of the recipe's model and the data's classes.
        qat: a quantisation recipe inside the bundle of `start`; training then rounds as its INT8 graphs do.

    Raises:
        MGHFTError: the data, the recipe or the folder does not fit the others, or the loss is not finite.
    """
    if not resume and (output / STATE_FILE).exists():
        raise MGHFTError(f"{output} holds a run already; continue it with --resume or choose another folder")
    if recipe.freeze_pyramid and recipe.pretrained is None and recipe.imagenet is None and start is None:
        raise MGHFTError(
            "freeze_pyramid keeps the pyramid as it starts, and here it starts with random weights; "
            "give it trained ones with --set pretrained=CHECKPOINT, --imagenet or --from"
        )
    saved = read_saved(output, recipe) if resume else None
    accelerator = make_accelerator(recipe)
    plan = None if qat is None else read_plan(qat, start, recipe, accelerator.num_processes)
    torch.use_deterministic_algorithms(recipe.deterministic)
    run = prepare_run(dataset, recipe, accelerator, output, saved, start, plan, tokenizer, cache)
    main = accelerator.is_main_process
    told = reporters(output) if main else []
    history = History.of(saved)
    stopped = False
    for epoch in range(saved.epoch if saved else 0, recipe.epochs):
        if stop_after is not None and epoch >= stop_after:
            break
        seed_everything(recipe.seed, epoch, accelerator.process_index)
        lr = float(run.optimizer.param_groups[0]["lr"])
        run.batches.epoch = epoch
        scalars = run_epoch(
            run.network,
            run.optimizer,
            run.loader,
            recipe,
            run.weight_by_class,
            accelerator,
            epoch,
            told,
            output,
        )
        run.scheduler.step(epoch + 1)
        metrics = evaluate(run.bare, run.val_data, accelerator.device)
        if not math.isfinite(metrics.loss):
            raise MGHFTError(not_finite("validation loss", metrics.loss, epoch, output))
        scalars |= {"lr": lr, **metrics.scalars()}
        improved = history.add(epoch + 1, scalars, getattr(metrics, recipe.metric))
        stopped = bool(recipe.early_stop) and epoch + 1 - history.best_epoch >= recipe.early_stop
        due = stopped or (epoch + 1) % recipe.save_every == 0 or epoch + 1 in (recipe.epochs, stop_after)
        if main and (due or improved):
            keep_checkpoints(run, history, output, improved=improved)
        if main and due:
            keep_state(run, history, accelerator, output, epoch + 1)
        for reporter in told:
            reporter.on_epoch(history.epochs[-1])
        if stopped:
            break
    return TrainingResult(
        output / "best.safetensors",
        output / "last.safetensors",
        history.best,
        history.best_epoch,
        tuple(history.epochs),
        stopped,
        tuple(run.left_out),
    )
