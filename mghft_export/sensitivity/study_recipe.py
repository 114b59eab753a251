"""The recipe that is studied: its choices, and ranges from stickers that are not measured on."""

from __future__ import annotations

from collections.abc import Sequence

from mghft_export.bundle import BRANCHES
from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.errors import MGHFTError
from mghft_export.precision.bundle_calibration_set import set_entry
from mghft_export.precision.calibration_run import Calibration
from mghft_export.sensitivity.study_stickers import EVERY
from mghft_export.stickers.dataset import Sticker


def study_recipe(work: Calibration, ranging: Sequence[Sticker] | None) -> QuantizationRecipe:
    """The recipe of a calibration, with ranges for its branches.

    If the recipe asks for scale migration, that uses the whole set, as it does when the recipe is replayed.

    Args:
        work: the calibration. The recipe in its options has the choices, and may have ranges.
        ranging: stickers that give the ranges, instead of the whole calibration set.

    Raises:
        MGHFTError: the recipe's ranges belong to another model, lack a branch, or may come from measured stickers.
    """
    given = work.options.recipe
    if given.ranges:
        missing = [branch for branch in given.branches if branch not in given.ranges]
        if missing:
            raise MGHFTError(
                f"the recipe has no ranges for the {missing[0]} branch; leave out --recipe to calibrate it"
            )
        if ranging is not None:
            raise MGHFTError(
                "the recipe's ranges come from a calibration set, so part of that set is not held out; "
                "pass other stickers with --data ROOT"
            )
    if ranging is None:
        return work.recipe()
    if given.fusion_inputs == "quantized" and "fusion" in given.branches:
        raise MGHFTError(
            "fusion_inputs 'quantized' needs the whole calibration set for the ranges; "
            "pass other stickers to measure on with --data ROOT"
        )
    return _ranged(work, given, ranging)


def _ranged(work: Calibration, given: QuantizationRecipe, ranging: Sequence[Sticker]) -> QuantizationRecipe:
    graphs = work.bundle.manifest.precisions["fp32"]
    update = {
        "ranges": work.ranges(given, ranging),
        "graphs": {branch: graphs[branch].file.sha256 for branch in BRANCHES},
        "calibration_set": {**set_entry(work.set), "part": f"all but every {EVERY}th sticker"},
    }
    return QuantizationRecipe.model_validate({**dict(given), **update})
