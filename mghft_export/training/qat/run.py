"""Quantisation-aware training inside a run: its network, its state, and the recipes beside its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mghft_export.bundle.quantization_recipe import write_recipe
from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file
from mghft_export.files.hashing import sha256
from mghft_export.model.mghft import MGHFT
from mghft_export.training.qat.learned_ranges import LearnedRanges
from mghft_export.training.qat.quantised_training import QuantisedTraining, products_of
from mghft_export.training.qat.start import QatPlan


def quantised(model: MGHFT, plan: QatPlan) -> tuple[QuantisedTraining, LearnedRanges, list[str]]:
    """The network to train, its ranges, and the quantised products that it does not run through."""
    met = products_of(model)
    products = plan.learnable(met)
    ranges = LearnedRanges(plan.start(products))
    return QuantisedTraining(model, ranges, products), ranges, plan.left_out(met)


def restore_ranges(ranges: LearnedRanges | None, saved: Mapping[str, Tensor], output: Path) -> None:
    """Load the ranges of a saved run.

    Raises:
        MGHFTError: the saved run has no ranges, or those of other products.
    """
    own = {} if ranges is None else ranges.state_dict()
    if {key: value.shape for key, value in own.items()} != {key: value.shape for key, value in saved.items()}:
        how = (
            "with a --qat recipe; resume it with the same one"
            if saved
            else "without --qat; resume it without"
        )
        raise MGHFTError(f"{output} was started {how}")
    if ranges is not None:
        ranges.load_state_dict(dict(saved))


def write_learned(output: Path, name: str, plan: QatPlan, ranges: LearnedRanges) -> None:
    """Write `NAME.recipe.json`, the recipe for exporting `NAME.safetensors`.

    The graphs of that export do not exist yet, so the recipe names the checkpoint instead of them.
    """
    learned = ranges.values()
    update = {
        "ranges": {branch: found | learned.get(branch, {}) for branch, found in plan.recipe.ranges.items()},
        "graphs": {},
        "checkpoint": sha256(output / f"{name}.safetensors"),
    }
    with replacing_file(output / f"{name}.recipe.json") as partial:
        write_recipe(partial, plan.recipe.model_copy(update=update))
