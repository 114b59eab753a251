"""How much of a model's arithmetic runs in 8 bits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.sensitivity.layers import BranchLayers


@dataclass(frozen=True)
class Share:
    """Shares of the multiply-adds of all matrix products and convolutions of a branch, from 0 to 1.

    Attributes:
        int8: share in 8 bits with this recipe.
        most: share in 8 bits if every layer were quantised. The rest is attention products and the image's convolution.
    """

    int8: float
    most: float


def int8_shares(branches: Mapping[str, BranchLayers], recipe: QuantizationRecipe) -> dict[str, Share]:
    """The shares of each branch, and of these branches together as "all"."""
    kept = {(branch, name) for branch, names in recipe.float_layers.items() for name in names}
    shares = {branch: _share([found], kept) for branch, found in branches.items()}
    return shares | {"all": _share(list(branches.values()), kept)}


def _share(branches: Collection[BranchLayers], kept: Collection[tuple[str, str]]) -> Share:
    total = sum(item.flops for item in branches)
    layers = [layer for item in branches for layer in item.layers]
    quantised = sum(layer.flops for layer in layers if (layer.branch, layer.name) not in kept)
    return Share(quantised / total, sum(layer.flops for layer in layers) / total)
