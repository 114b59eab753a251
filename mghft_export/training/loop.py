"""The training loop: epochs of steps, validation, checkpoints, and a stop when something is wrong."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file
from mghft_export.files.hashing import sha256
from mghft_export.model.checkpoint import class_names, save_checkpoint
from mghft_export.model.text_weights import pinned
from mghft_export.stickers.dataset import StickerSet
from mghft_export.training.data import Batch, EpochBatches, Item, StickerData, collate
from mghft_export.training.distributed import mean_over_processes
from mghft_export.training.losses import class_weights, step_losses
from mghft_export.training.prototypes import class_prototypes
from mghft_export.training.qat.learned_ranges import LearnedRanges
from mghft_export.training.qat.run import quantised, restore_ranges, write_learned
from mghft_export.training.qat.start import read_plan
from mghft_export.training.random_state import seed_everything
from mghft_export.training.recipe import Recipe, parse_recipe
from mghft_export.training.setup import build, load_start, make_accelerator, prepare_data, standardize_input
from mghft_export.training.state import TrainingState, load_state, save_state
from mghft_export.training.step import TrainingModel
from mghft_export.training.validation import evaluate

STATE_FILE = "state.pt"


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
    """Who is told how it goes; only the main process tells."""

    def on_step(self, report: StepReport) -> None: ...

    def on_epoch(self, scalars: dict[str, float]) -> None: ...


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
        resume: go on from the folder's last epoch.
        reporters: makes those who are told, in the main process.
        cache: folder of frozen text features.
        stop_after: epochs after which to stop although the recipe has more (the schedule is the recipe's).
        start: a checkpoint to fine-tune, of the recipe's model and the data's classes.
        qat: a quantisation recipe inside the bundle of `start`, to fine-tune through.

    Raises:
        MGHFTError: the data, the recipe or the folder does not fit, or the loss is not finite.
    """
    if not resume and (output / STATE_FILE).exists():
        raise MGHFTError(f"{output} holds a run already; continue it with --resume or choose another folder")
    if recipe.freeze_pyramid and recipe.pretrained is None and recipe.imagenet is None and start is None:
        raise MGHFTError(
            "freeze_pyramid keeps the pyramid as it starts, and here it starts with random weights; "
            "give it trained ones with --set pretrained=CHECKPOINT, --imagenet or --from"
        )
    saved = load_state(output / STATE_FILE) if resume else None
    if saved is not None and differing(saved.recipe, recipe):
        raise MGHFTError(
            f"{output} was trained with another {differing(saved.recipe, recipe)[0]}; resume it with the same recipe"
        )
    accelerator = make_accelerator(recipe)
    main = accelerator.is_main_process
    plan = None if qat is None else read_plan(qat, start, recipe, accelerator.num_processes)
    torch.use_deterministic_algorithms(recipe.deterministic)
    train_data, val_data, weights = prepare_data(dataset, recipe, accelerator, tokenizer, cache)
    reference = weights if weights is None or recipe.inputs == "image" else pinned(weights)
    seed_everything(recipe.seed)  # here, as reading the data may draw numbers or not (the cache)
    model = build(dataset, recipe, weights)
    if start is not None:
        load_start(model, start, dataset.class_names, recipe.text_weights)
    elif recipe.standardize_text and not recipe.tune_text and recipe.inputs != "image":
        standardize_input(model.l_proj, train_data.texts)
    if saved is not None:
        model.load_state_dict(saved.model)
    train_data.decode()
    prototypes = None
    if recipe.prototypes:
        labels = np.array([sticker.label for sticker in train_data.stickers])
        images = (train_data.open(number) for number in range(len(train_data)))
        prototypes = class_prototypes(images, labels, recipe.prototypes)
    bare: nn.Module = TrainingModel(
        model,
        blank_images=recipe.inputs == "text",
        prototypes=prototypes,
        attention_variance=recipe.attention_variance_weight > 0,
    )
    ranges: LearnedRanges | None = None
    left_out: list[str] = []
    if plan is not None:
        bare, ranges, left_out = quantised(model, plan)
    if saved is not None:
        restore_ranges(ranges, saved.ranges, output)
    whole = recipe.batch_size * accelerator.num_processes * recipe.accumulate
    optimizer = create_optimizer_v2(
        model, opt=recipe.optimizer, lr=recipe.base_lr * whole / 512, weight_decay=recipe.weight_decay
    )
    if ranges is not None:
        optimizer.add_param_group(
            {"params": list(ranges.parameters()), "lr": recipe.range_lr, "weight_decay": 0.0}
        )
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=recipe.epochs,
        warmup_epochs=recipe.warmup_epochs,
        warmup_lr=recipe.warmup_lr,
        min_lr=recipe.min_lr,
        warmup_prefix=False,
    )
    assert scheduler is not None
    if saved is not None:
        optimizer.load_state_dict(saved.optimizer)
        scheduler.load_state_dict(saved.scheduler)
        if accelerator.scaler is not None and saved.scaler:
            accelerator.scaler.load_state_dict(saved.scaler)
    network: nn.Module = torch.compile(bare) if recipe.compile else bare  # type: ignore[assignment]
    network, optimizer = accelerator.prepare(network, optimizer)
    batches = EpochBatches(
        train_data, recipe.batch_size, accelerator.process_index, accelerator.num_processes
    )
    loader = DataLoader(
        train_data,
        batch_sampler=batches,
        num_workers=recipe.workers,
        collate_fn=collate,
        persistent_workers=recipe.workers > 0,
    )
    weight_by_class = class_weights(train_data, len(dataset.class_names)) if recipe.balanced else None
    told = reporters(output) if main else []
    history: list[dict[str, float]] = list(saved.history) if saved else []
    best, best_epoch = (saved.best, saved.best_epoch) if saved else (-math.inf, 0)
    stopped = False
    for epoch in range(saved.epoch if saved else 0, recipe.epochs):
        if stop_after is not None and epoch >= stop_after:
            break
        seed_everything(recipe.seed, epoch, accelerator.process_index)
        lr = float(optimizer.param_groups[0]["lr"])
        batches.epoch = epoch
        scalars = run_epoch(
            network, optimizer, loader, recipe, weight_by_class, accelerator, epoch, told, output
        )
        scheduler.step(epoch + 1)
        metrics = evaluate(bare, val_data, accelerator.device)
        if not math.isfinite(metrics.loss):
            raise MGHFTError(not_finite("validation loss", metrics.loss, epoch, output))
        scalars |= {"lr": lr, **metrics.scalars()}
        history.append({"epoch": epoch + 1, **scalars})
        value: float = getattr(metrics, recipe.metric)
        improved = value > best
        if improved:
            best, best_epoch = value, epoch + 1
        stopped = bool(recipe.early_stop) and epoch + 1 - best_epoch >= recipe.early_stop
        due = stopped or (epoch + 1) % recipe.save_every == 0 or epoch + 1 in (recipe.epochs, stop_after)
        if main and (due or improved):
            scaler = accelerator.scaler.state_dict() if accelerator.scaler is not None else {}
            description = describe(dataset, recipe, history[-1], start)
            for name in ["last", "best"] if improved else ["last"]:
                save_checkpoint(
                    output / f"{name}.safetensors",
                    model,
                    dataset.class_names if prototypes is None else class_names(recipe.prototypes),
                    description,
                    text_weights=reference,
                    half=recipe.half_checkpoints,
                )
                if plan is not None and ranges is not None:
                    write_learned(output, name, plan, ranges)
            write_history(output, history)
        if main and due:
            state = TrainingState(
                epoch + 1,
                model.state_dict(),
                optimizer.state_dict(),
                scheduler.state_dict(),
                scaler,
                best,
                best_epoch,
                history,
                recipe.model_dump(mode="json"),
                {} if ranges is None else ranges.state_dict(),
            )
            save_state(output / STATE_FILE, state)
        for reporter in told:
            reporter.on_epoch(history[-1])
        if stopped:
            break
    return TrainingResult(
        output / "best.safetensors",
        output / "last.safetensors",
        best,
        best_epoch,
        tuple(history),
        stopped,
        tuple(left_out),
    )


def run_epoch(
    network: nn.Module,
    optimizer: Any,
    loader: DataLoader[Item],
    recipe: Recipe,
    weight_by_class: Tensor | None,
    accelerator: Accelerator,
    epoch: int,
    told: list[Reporter],
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
    """The sentence for a loss that went wrong."""
    where = f"epoch {epoch + 1}" + ("" if step is None else f", step {step + 1}")
    kept = output / "last.safetensors"
    kept_text = f"; the last good checkpoint is {kept}" if kept.exists() else ""
    return f"the {what} became {value} in {where}{kept_text}; start again with a lower --lr or with --precision fp32"


def differing(saved: dict[str, Any], recipe: Recipe) -> list[str]:
    """Keys in which a recipe differs from that of a saved run; where the data is read may change."""
    current = recipe.model_dump(mode="json")
    free = {
        "workers",
        "cache_pixels",
        "text_weights",
        "imagenet",
        "pretrained",
        "half_checkpoints",
        "save_every",
    }
    default = parse_recipe({}, "defaults").model_dump(mode="json")  # of keys that recipes did not have yet
    return [key for key in current if key not in free and current[key] != saved.get(key, default[key])]


def describe(
    dataset: StickerSet, recipe: Recipe, scalars: dict[str, float], start: Path | None
) -> dict[str, Any]:
    """What a checkpoint says about its training; of files their names, as folders are nobody else's business."""
    names = {
        key: path.name for key in ("imagenet", "pretrained") if (path := getattr(recipe, key)) is not None
    }
    origin = {} if start is None else {"start": {"name": start.name, "sha256": sha256(start)}}
    return {
        "data": dataset.root.name,
        "recipe": {**recipe.model_dump(mode="json"), **names},
        "scalars": scalars,
        **origin,
    }


def write_history(output: Path, history: list[dict[str, float]]) -> None:
    """Write the epochs' scalars as JSON."""
    with replacing_file(output / "history.json") as partial:
        partial.write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
