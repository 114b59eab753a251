"""Judge each branch by itself: its outputs against limits, and the logits if the other modality is neutral."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mghft_export.bundle import BRANCHES, Bundle
from mghft_export.bundle.verifications import BranchVerification, Budget, OutputChange
from mghft_export.config import MGHFTConfig
from mghft_export.evaluation.divergence import divergences
from mghft_export.evaluation.relevance import can_judge
from mghft_export.evaluation.verification.accuracy_budget import within_budget
from mghft_export.evaluation.verification.branch_limits import Limits, branch_limits, selection_limit
from mghft_export.evaluation.verification.collected import Collected
from mghft_export.evaluation.verification.neutral_inputs import PLACES
from mghft_export.runtime.pipeline import FloatArray

NOTHING = 1e-9
"""Below this divergence in nats, a branch changes nothing that float32 can tell from its own rounding."""

CHANCE = 2.0
"""Standard deviations by which a number of flips may exceed the allowed number."""


def check_branches(
    bundle: Bundle,
    precision: str,
    reference: Collected,
    found: Collected,
    silent: FloatArray,
    budget: Budget,
    outputs: Sequence[OutputChange],
    selected: Mapping[str, float],
) -> dict[str, BranchVerification]:
    """The verdict on each branch.

    Args:
        reference: float32's runs.
        found: the precision's runs.
        silent: logits of a blank image and mean text features, [1, classes].
        budget: budget of the classes.
        outputs: changes of the outputs of all branches.
        selected: agreement of selected tokens, by stage.

    Raises:
        BundleError: the recipe was changed, or the manifest's model does not match the graphs.
    """
    limits = {branch: branch_limits(bundle, precision, branch) for branch in PLACES}
    missed = _missed_outputs(limits, MGHFTConfig.from_dict(bundle.manifest.model), outputs, selected)
    checks = {
        branch: _neutralised(branch, place, reference, found, silent, budget, limits[branch], missed[branch])
        for branch, place in PLACES.items()
    }
    expected, values = reference.logits, found.alone("fusion")
    flips = int((expected.argmax(axis=1) != values.argmax(axis=1)).sum())
    passed = within_budget(budget, stickers=len(values), flips=flips, macro_f1_change=None)
    agreement = 1 - flips / len(values)
    wrong = f"same class for {agreement:.2%} of the stickers with fp32's tokens and text features"
    checks["fusion"] = BranchVerification(
        neutral=None,
        same_class=agreement,
        kl=float(divergences(expected, values).mean()),
        missed=(f"{wrong} instead of {100 * budget.min_agreement:.10g} %",) if passed is False else (),
        passed=passed,
    )
    return {branch: checks[branch] for branch in BRANCHES}


def _missed_outputs(
    limits: Mapping[str, Limits],
    config: MGHFTConfig,
    outputs: Sequence[OutputChange],
    selected: Mapping[str, float],
) -> dict[str, list[str]]:
    """For each branch, the outputs that are too far from float32's."""
    missed: dict[str, list[str]] = {"vision": [], "text": []}
    for item in outputs:
        branch = "text" if item.output == "text_features" else "vision"
        if branch == "vision" and not item.output.endswith("_class_token"):
            continue
        allowed = limits[branch].relative_error
        if item.relative_error is not None and item.relative_error > allowed:
            missed[branch].append(
                f"{item.output} is {item.relative_error:.1%} off instead of at most {allowed:.1%}"
            )
    for stage, share in selected.items():
        least = selection_limit(config, stage)
        if least is not None and share < least:
            missed["vision"].append(f"{stage} selects {share:.1%} of the same tokens instead of {least:.1%}")
    return missed


def _neutralised(
    branch: str,
    place: str,
    reference: Collected,
    found: Collected,
    silent: FloatArray,
    budget: Budget,
    limits: Limits,
    missed: Sequence[str],
) -> BranchVerification:
    expected, values = reference.alone(branch), found.alone(branch)
    nothing = np.broadcast_to(silent, expected.shape)
    kl, silent_kl = (float(divergences(expected, other).mean()) for other in (values, nothing))
    flips, silent_flips = (
        int((expected.argmax(axis=1) != other.argmax(axis=1)).sum()) for other in (values, nothing)
    )
    lost = math.sqrt(kl / silent_kl) if silent_kl > NOTHING else None
    wrong = list(missed)
    if lost is not None and lost > limits.lost:
        wrong.append(
            f"with {place} {lost:.1%} of its effect on the logits is lost instead of at most {limits.lost:.1%}"
        )
    allowed = limits.lost * silent_flips
    # If less than one class may change, a count of classes says nothing.
    if allowed >= 1 and flips > allowed + CHANCE * math.sqrt(allowed):
        wrong.append(
            f"with {place} {flips} classes change; a branch that says nothing would change {silent_flips}"
        )
    # The run that judges the other branch neutralises this one, so it shows which classes stay without this branch.
    other = "text" if branch == "vision" else "vision"
    kept = float((reference.classes == reference.alone(other).argmax(axis=1)).mean())
    return BranchVerification(
        neutral=place,
        same_class=1 - flips / len(values),
        kl=kl,
        silent_same_class=1 - silent_flips / len(values),
        silent_kl=silent_kl,
        lost=lost,
        kept_without=kept,
        judged_by_classes=can_judge(kept, budget.min_agreement),
        missed=tuple(wrong),
        passed=not wrong,
    )
