"""The state of a run after an epoch, in one file, so that a killed run can resume where its last epoch ended."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mghft_export.errors import CheckpointError
from mghft_export.files.atomic import replacing_file

FORMAT = "mghft-training-state"


@dataclass
class TrainingState:
    """All that the next epoch depends on. Each epoch seeds the generators by (seed, epoch), so they are not saved."""

    epoch: int
    """Number of finished epochs."""
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]
    scaler: dict[str, Any]
    """The state of float16's loss scaler; empty for other precisions."""
    best: float
    best_epoch: int
    history: list[dict[str, float]]
    recipe: dict[str, Any]
    ranges: dict[str, Tensor] = field(default_factory=dict)
    """Logarithms of the ranges that quantisation-aware training learns; empty in other trainings."""


def save_state(path: Path, state: TrainingState) -> None:
    """Write the state to a temporary file and rename it into place."""
    with replacing_file(path) as partial:
        torch.save({"format": FORMAT, **vars(state)}, partial)


def load_state(path: Path) -> TrainingState:
    """Read a state; only tensors and plain containers are unpickled.

    Raises:
        CheckpointError: there is no state, or it is damaged.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise ValueError
        return TrainingState(**content)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"there is no run to resume at {path.parent}; start it without --resume"
        ) from error
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        TypeError,
        KeyError,
        zipfile.BadZipFile,
    ) as error:
        raise CheckpointError(
            f"{path} is damaged or no training state; start again without --resume"
        ) from error
