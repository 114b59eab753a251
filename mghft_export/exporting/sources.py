"""Where the model that is exported comes from: a checkpoint, or random weights for latency work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from mghft_export.config import MGHFTConfig
from mghft_export.errors import MGHFTError
from mghft_export.exporting.export_bundle import Source
from mghft_export.files.hashing import sha256
from mghft_export.model.checkpoint import build_model, class_names, load_checkpoint
from mghft_export.model.checkpoint_choice import CHECKPOINTS_WORD, TextChoice
from mghft_export.model.contents import WeightsChoice, summary
from mghft_export.model.hub import is_hub_place, local_file, parse_hub_place
from mghft_export.model.mghft import MGHFT

PRESETS = {"paper": MGHFTConfig.paper}
"""Architectures that can be built with random weights."""


def random_source(arch: str, seed: int, changes: Mapping[str, object]) -> Source:
    """A model with random weights, marked as untrained.

    Raises:
        MGHFTError: the architecture is unknown.
    """
    if arch not in PRESETS:
        raise MGHFTError(f"there is no architecture {arch!r}; choose one of {', '.join(PRESETS)}")
    torch.manual_seed(seed)
    config = PRESETS[arch](**changes)
    return Source(
        MGHFT(config).eval(),
        class_names(config.num_classes),
        f"random weights of {arch}, seed {seed}",
        None,
        trained=False,
    )


def checkpoint_source(
    place: Path,
    weights: WeightsChoice | None,
    changes: Mapping[str, object],
    text: TextChoice = CHECKPOINTS_WORD,
) -> tuple[Source, str]:
    """The model of a checkpoint, and a note on which of the file's weights were taken; empty for a plain state dict.

    Raises:
        CheckpointError: it cannot be read, or is not an MGHFT.
    """
    path = local_file(place)
    checkpoint = load_checkpoint(place, weights=weights, text=text, **changes)
    note = summary(checkpoint.taken, checkpoint.ignored) if checkpoint.taken else ""
    name = parse_hub_place(place).place if is_hub_place(place) else path.name
    source = Source(build_model(checkpoint), checkpoint.class_names, name, sha256(path), trained=True)
    return source, note
