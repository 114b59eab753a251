"""The effect of quantising each layer alone, and of quantising groups of layers together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mghft_export.sensitivity.effect import Effect, effect_of
from mghft_export.sensitivity.layers import Layer
from mghft_export.sensitivity.whole_model import WholeModel


@dataclass(frozen=True)
class LayerEffect:
    """The effect of one quantised layer, with all others in float32."""

    layer: Layer
    effect: Effect


@dataclass(frozen=True)
class GroupEffect:
    """The effect of layers quantised together, in the form of an INT8 bundle: GELU's tanh form, half constants.

    So "all, all" is bit for bit the bundle that the recipe makes. The group without layers only has the effect of that
    form.

    Attributes:
        branch: branch of all its layers, "all", or "none" for no layers.
        kind: kind of all its layers, or "all".
        layers: number of layers.
    """

    branch: str
    kind: str
    layers: int
    effect: Effect


def by_branch(layers: Sequence[Layer]) -> dict[str, list[str]]:
    """Names of layers, by branch."""
    names: dict[str, list[str]] = {}
    for layer in layers:
        names.setdefault(layer.branch, []).append(layer.name)
    return names


def measure_layers(
    model: WholeModel, layers: Sequence[Layer], on_layer: Callable[[str], None] = lambda _: None
) -> list[LayerEffect]:
    """Measure each layer alone; the result has the most sensitive layer first.

    Args:
        on_layer: called with the name of each layer after it was measured.
    """
    found = []
    for layer in layers:
        found.append(LayerEffect(layer, effect_of(model.expected, model.logits(by_branch([layer])))))
        on_layer(layer.name)
    return sorted(found, key=lambda item: -item.effect.kl)


def groups_of(layers: Sequence[Layer]) -> list[tuple[str, str, list[Layer]]]:
    """Branch, kind and members of each group: no layer, one kind in a branch, whole branches, and all layers."""
    members: dict[tuple[str, str], list[Layer]] = {("none", "all"): []}
    for branch in dict.fromkeys(layer.branch for layer in layers):
        own = [layer for layer in layers if layer.branch == branch]
        for layer in own:
            members.setdefault((branch, layer.kind), []).append(layer)
        members[branch, "all"] = own
    members["all", "all"] = list(layers)
    return [(branch, kind, found) for (branch, kind), found in members.items()]


def measure_groups(
    model: WholeModel, layers: Sequence[Layer], on_group: Callable[[str], None] = lambda _: None
) -> list[GroupEffect]:
    """Measure each group together, in the order of :func:`groups_of`.

    Args:
        layers: the layers that the recipe quantises.
    """
    found = []
    for branch, kind, members in groups_of(layers):
        effect = effect_of(model.expected, model.logits(by_branch(members), form="cpu"))
        found.append(GroupEffect(branch, kind, len(members), effect))
        on_group(f"{branch}, {kind}")
    return found
