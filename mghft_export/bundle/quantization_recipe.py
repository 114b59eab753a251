"""The recipe of a quantised bundle, `int8/recipe.json`: everything that is needed to quantise it again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from mghft_export.bundle.manifest import BRANCHES, Manifest
from mghft_export.errors import MGHFTError
from mghft_export.files.stored_json import Stored, parse_stored, stored_text

RECIPE = "recipe.json"
Calibrator = Literal["max", "entropy", "percentile"]
FusionInputs = Literal["float", "quantized"]


class QuantizationRecipe(Stored):
    """The choices of a quantization, and the ranges that they led to.

    Attributes:
        branches: the branches that are quantised. The others stay in float32, or in FP16 for `int8-fp16`. By default
            the text branch is not quantised: the outliers in BERT's activations cost too much (docs/precision.md).
        calibrator: how a range is computed from the magnitudes that were seen.
        percentile: the percentile that the calibrator of that name uses.
        smooth: SmoothQuant's alpha; None if it was not used.
        fusion_inputs: what the fusion branch was calibrated with: outputs of the float or of the quantised branches.
        float_layers: by branch, the products that are not quantised.
        calibration_set: name and hash of the set, and how many of its stickers were run.
        graphs: SHA-256 of the float32 graphs that the ranges belong to, by branch.
        checkpoint: if the ranges were learned in training, SHA-256 of the checkpoint that they belong to
            (docs/training.md).
        ranges: by branch, the largest magnitude that each activation's INT8 range holds.
    """

    schema_version: Literal[1] = 1
    branches: tuple[str, ...] = ("vision", "fusion")
    calibrator: Calibrator = "percentile"
    percentile: float = Field(default=99.99, gt=50, le=100)
    smooth: float | None = Field(default=None, ge=0, le=1)
    fusion_inputs: FusionInputs = "float"
    float_layers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    calibration_set: dict[str, str] = Field(default_factory=dict)
    graphs: dict[str, str] = Field(default_factory=dict)
    checkpoint: str | None = None
    ranges: dict[str, dict[str, float]] = Field(default_factory=dict)


def belongs_to(recipe: QuantizationRecipe, manifest: Manifest) -> bool:
    """Whether a recipe's ranges belong to a bundle: to its float32 graphs or, if it names no graphs, its checkpoint."""
    if recipe.graphs:
        graphs = {branch: graph.file.sha256 for branch, graph in manifest.precisions["fp32"].items()}
        return recipe.graphs == {branch: graphs[branch] for branch in BRANCHES}
    return recipe.checkpoint is not None and recipe.checkpoint == manifest.checkpoint.sha256


def read_recipe(path: Path) -> QuantizationRecipe:
    """Read a recipe to replay.

    Raises:
        MGHFTError: the file is missing, or is not a recipe.
    """
    file = path / RECIPE if path.is_dir() else path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise MGHFTError(f"there is no recipe at {file}; give the {RECIPE} of a quantised bundle") from error
    return parse_recipe(content, file)


def parse_recipe(content: bytes, file: Path) -> QuantizationRecipe:
    """A recipe that was read from a file.

    Raises:
        MGHFTError: it is not a recipe.
    """
    advice = f"give the {RECIPE} of a quantised bundle"
    return parse_stored(content, QuantizationRecipe, path=file, advice=advice, error=MGHFTError)


def write_recipe(path: Path, recipe: QuantizationRecipe) -> None:
    """Write a recipe to a file."""
    path.write_text(stored_text(recipe), encoding="utf-8")
