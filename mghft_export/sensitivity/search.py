"""Return layers to float, the most sensitive first, until a budget holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.bundle.verifications import Budget
from mghft_export.errors import MGHFTError
from mghft_export.evaluation.bootstrap import confusion_matrix, macro_f1
from mghft_export.evaluation.verification.accuracy_budget import ROUNDING
from mghft_export.runtime.pipeline import FloatArray
from mghft_export.sensitivity.effect import Effect, effect_of
from mghft_export.sensitivity.effects import by_branch
from mghft_export.sensitivity.layers import Layer
from mghft_export.sensitivity.whole_model import WholeModel


@dataclass(frozen=True)
class Trial:
    """One choice of layers.

    Attributes:
        returned: number of the most sensitive layers that were in float.
        effect: effect of quantising all others, in the form of an INT8 bundle.
        drop: how far macro-F1 is below float32's, on a scale of 0 to 1; None if the budget does not limit it.
        holds: whether the trial is within the budget.
    """

    returned: int
    effect: Effect
    drop: float | None
    holds: bool


@dataclass(frozen=True)
class Search:
    """The result of a search.

    Attributes:
        returned: layers that were returned to float, the most sensitive first.
        trials: all trials in order; the first one quantised everything that the recipe quantises.
        chosen: the trial of the result.
        recipe: the studied recipe with these layers in float.
    """

    budget: Budget
    returned: tuple[Layer, ...]
    trials: tuple[Trial, ...]
    chosen: Trial
    recipe: QuantizationRecipe


def check_reachable(model: WholeModel, layers: Sequence[Layer], budget: Budget) -> None:
    """Refuse a budget that no choice of layers meets, before the layers are measured.

    Raises:
        MGHFTError: the budget is missed even with all layers in float.
    """
    candidates = quantised_layers(model.recipe, layers)
    if not _trial(model, candidates, len(candidates), budget).holds:
        raise _unreachable(budget)


def search(
    model: WholeModel,
    ranked: Sequence[Layer],
    budget: Budget,
    on_trial: Callable[[str], None] = lambda _: None,
) -> Search:
    """Return the fewest layers to float that a bisection finds to be enough.

    The search first tries 0, then 1, 2, 4, ... layers until the budget holds. Then it bisects between the last failure
    and that. The result was itself measured and holds. Because flips need not grow with the number of layers, fewer
    layers might sometimes be enough.

    Args:
        ranked: all layers of the recipe's branches, the most sensitive first. Layers that the recipe keeps in float
            stay in float.
        on_trial: called with a description of each trial.

    Raises:
        MGHFTError: the budget is missed even with all layers in float.
    """
    candidates = quantised_layers(model.recipe, ranked)
    trials: list[Trial] = []

    def holds(returned: int) -> bool:
        on_trial(f"{returned} of {len(candidates)} layers in float")
        trials.append(_trial(model, candidates, returned, budget))
        return trials[-1].holds

    enough, too_few = 0, -1
    while not holds(enough):
        if enough == len(candidates):
            raise _unreachable(budget)
        too_few, enough = enough, min(max(1, 2 * enough), len(candidates))
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if holds(middle):
            enough = middle
        else:
            too_few = middle
    chosen = next(item for item in trials if item.returned == enough)
    returned = tuple(candidates[:enough])
    return Search(budget, returned, tuple(trials), chosen, _with_float_layers(model.recipe, returned))


def quantised_layers(recipe: QuantizationRecipe, layers: Sequence[Layer]) -> list[Layer]:
    """The layers that a recipe does not keep in float."""
    kept = {(branch, name) for branch, names in recipe.float_layers.items() for name in names}
    return [layer for layer in layers if (layer.branch, layer.name) not in kept]


def _trial(model: WholeModel, candidates: Sequence[Layer], returned: int, budget: Budget) -> Trial:
    logits = model.logits(by_branch(candidates[returned:]), form="cpu")
    effect, drop = effect_of(model.expected, logits), None
    if budget.limits_macro_f1:
        drop = macro_f1_of(model.expected, model.labels) - macro_f1_of(logits, model.labels)
    return Trial(returned, effect, drop, _within(budget, effect, drop))


def macro_f1_of(logits: FloatArray, labels: npt.NDArray[np.int64]) -> float:
    """Macro-F1 of logits [n, classes], 0 to 1."""
    return macro_f1(confusion_matrix(labels, logits.argmax(axis=1), logits.shape[1]))


def _unreachable(budget: Budget) -> MGHFTError:
    return MGHFTError(
        f"even with every layer in float the budget ({budget}) is missed, because GELU's tanh form and tables in FP16 "
        "alone cost more; give a wider budget"
    )


def _within(budget: Budget, effect: Effect, drop: float | None) -> bool:
    agrees = effect.agreement >= budget.min_agreement - ROUNDING
    return agrees and (drop is None or drop <= budget.max_drop + ROUNDING)


def _with_float_layers(recipe: QuantizationRecipe, returned: Sequence[Layer]) -> QuantizationRecipe:
    float_layers = {branch: tuple(names) for branch, names in recipe.float_layers.items()}
    for branch, names in by_branch(returned).items():
        float_layers[branch] = (*float_layers.get(branch, ()), *names)
    return recipe.model_copy(update={"float_layers": float_layers})
