"""The files that a run writes into its folder: checkpoints, the scalars of its epochs, and the state to resume from."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file
from mghft_export.files.hashing import sha256
from mghft_export.model.checkpoint import class_names, save_checkpoint
from mghft_export.stickers.dataset import StickerSet
from mghft_export.training.qat.run import write_learned
from mghft_export.training.recipe import Recipe, parse_recipe
from mghft_export.training.setup import Run
from mghft_export.training.state import TrainingState, load_state, save_state

STATE_FILE = "state.pt"


@dataclass
class History:
    """The scalars of all epochs, and the best epoch."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best: float = -math.inf
    best_epoch: int = 0

    @classmethod
    def of(cls, saved: TrainingState | None) -> History:
        """The history of a resumed run; empty for a new run."""
        return cls() if saved is None else cls(list(saved.history), saved.best, saved.best_epoch)

    def add(self, epoch: int, scalars: dict[str, float], value: float) -> bool:
        """Add an epoch, counted from 1, and return whether its value is the best so far."""
        self.epochs.append({"epoch": epoch, **scalars})
        improved = value > self.best
        if improved:
            self.best, self.best_epoch = value, epoch
        return improved


def read_saved(output: Path, recipe: Recipe) -> TrainingState:
    """The state that a run resumes from.

    Raises:
        MGHFTError: there is no state, or it is that of another recipe.
    """
    saved = load_state(output / STATE_FILE)
    if differing(saved.recipe, recipe):
        raise MGHFTError(
            f"{output} was trained with another {differing(saved.recipe, recipe)[0]}; resume it with the same recipe"
        )
    return saved


def keep_checkpoints(run: Run, history: History, output: Path, *, improved: bool) -> None:
    """Write the last checkpoint (also as the best one if it improved) and the scalars."""
    recipe = run.recipe
    description = describe(run.dataset, recipe, history.epochs[-1], run.start)
    for name in ["last", "best"] if improved else ["last"]:
        save_checkpoint(
            output / f"{name}.safetensors",
            run.model,
            class_names(recipe.prototypes) if run.has_prototypes else run.dataset.class_names,
            description,
            text_weights=run.text_weights,
            half=recipe.half_checkpoints,
        )
        if run.plan is not None and run.ranges is not None:
            write_learned(output, name, run.plan, run.ranges)
    with replacing_file(output / "history.json") as partial:
        partial.write_text(json.dumps(history.epochs, indent=1) + "\n", encoding="utf-8")


def keep_state(run: Run, history: History, accelerator: Accelerator, output: Path, epoch: int) -> None:
    """Write all that the next epoch depends on."""
    state = TrainingState(
        epoch,
        run.model.state_dict(),
        run.optimizer.state_dict(),
        run.scheduler.state_dict(),
        accelerator.scaler.state_dict() if accelerator.scaler is not None else {},
        history.best,
        history.best_epoch,
        history.epochs,
        run.recipe.model_dump(mode="json"),
        {} if run.ranges is None else run.ranges.state_dict(),
    )
    save_state(output / STATE_FILE, state)


def differing(saved: dict[str, Any], recipe: Recipe) -> list[str]:
    """Keys in which a recipe differs from a saved run's; those that only say how to read or save data may change."""
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
    default = parse_recipe({}, "defaults").model_dump(mode="json")  # for keys that older recipes lack
    return [key for key in current if key not in free and current[key] != saved.get(key, default[key])]


def describe(
    dataset: StickerSet, recipe: Recipe, scalars: dict[str, float], start: Path | None
) -> dict[str, Any]:
    """What a checkpoint says about its training; it names files without their folders, which are private."""
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
