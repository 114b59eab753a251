"""Checks what `--qat` starts from: a recipe with ranges, the graphs that they belong to, and their checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from mghft_export.bundle import load_bundle
from mghft_export.bundle.quantization_recipe import RECIPE, QuantizationRecipe, belongs_to, read_recipe
from mghft_export.errors import BundleError, MGHFTError
from mghft_export.files.hashing import sha256
from mghft_export.precision.matrix_products import weight_products
from mghft_export.training.recipe import Recipe


@dataclass(frozen=True)
class QatPlan:
    """The products that training rounds.

    Attributes:
        recipe: the quantisation recipe as read from its file.
        products: by branch and name, the activation that each quantised product of the graphs reads.
    """

    recipe: QuantizationRecipe
    products: dict[str, dict[str, str]]

    def learnable(self, met: Mapping[str, set[str]]) -> dict[str, dict[str, str]]:
        """The quantised products that training runs through."""
        return {
            branch: {name: read for name, read in found.items() if name in met.get(branch, ())}
            for branch, found in self.products.items()
        }

    def left_out(self, met: Mapping[str, set[str]]) -> list[str]:
        """The other quantised products: float in training, INT8 with the recipe's own ranges after the export."""
        return [
            f"{branch}: {name}"
            for branch, found in self.products.items()
            for name in found
            if name not in met.get(branch, ())
        ]

    def start(self, products: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, float]]:
        """The recipe's ranges for the activations that these products read."""
        return {
            branch: {name: self.recipe.ranges[branch][name] for name in dict.fromkeys(found.values())}
            for branch, found in products.items()
            if found
        }


def read_plan(path: Path, checkpoint: Path | None, recipe: Recipe, processes: int = 1) -> QatPlan:
    """Read and check what a quantisation-aware training starts from.

    Args:
        path: a quantisation recipe inside its bundle.
        checkpoint: the checkpoint that the bundle was exported from.
        recipe: the training recipe.

    Raises:
        MGHFTError: one of them is missing, does not belong to the others, or cannot be trained with.
    """
    if checkpoint is None:
        raise MGHFTError(
            "--qat fine-tunes the checkpoint that the recipe's bundle was exported from; give it with --from"
        )
    if not checkpoint.is_file():
        raise MGHFTError(f"there is no checkpoint at {checkpoint}; give the file to fine-tune with --from")
    if recipe.precision != "fp32" or recipe.compile:
        raise MGHFTError(
            "quantisation-aware training rounds as the INT8 graphs do only in float32 and uncompiled; "
            "give --precision fp32 and leave out --compile"
        )
    if recipe.attention_variance_weight:
        raise MGHFTError(
            "quantisation-aware training does not know attention_variance_weight; "
            "add --set attention_variance_weight=0"
        )
    if processes > 1:
        raise MGHFTError("quantisation-aware training runs in one process; start it without torchrun")
    quantisation = read_recipe(path)
    file = path / RECIPE if path.is_dir() else path
    try:
        bundle = load_bundle(file.resolve().parent.parent)
    except BundleError as error:
        raise MGHFTError(
            f"{file} is not in a bundle, so there are no graphs for its ranges; give a bundle's int8/{RECIPE}"
        ) from error
    if not quantisation.ranges or not belongs_to(quantisation, bundle.manifest):
        raise MGHFTError(f"{file} has no ranges for the bundle that it is in; export the bundle again")
    if bundle.manifest.checkpoint.sha256 != sha256(checkpoint):
        raise MGHFTError(
            f"{bundle.root} was exported from {bundle.manifest.checkpoint.name}, not from {checkpoint}; "
            "give the bundle's own checkpoint with --from"
        )
    if quantisation.smooth is not None:
        raise MGHFTError(
            f"{file} moves outliers into weights, which training does not do; make a recipe without --smooth"
        )
    products: dict[str, dict[str, str]] = {}
    for branch in quantisation.branches:
        kept = quantisation.float_layers.get(branch, ())
        graph = onnx.load(bundle.graph(branch)).graph
        products[branch] = {
            item.name: item.activation for item in weight_products(graph) if item.name not in kept
        }
    return QatPlan(quantisation, products)
