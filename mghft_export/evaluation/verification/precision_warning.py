"""Warnings about a precision that costs more than it may."""

from __future__ import annotations

from collections.abc import Set

from mghft_export.bundle import Manifest
from mghft_export.bundle.recorded_verifications import is_stale, recorded_verification
from mghft_export.bundle.verifications import PrecisionVerification
from mghft_export.cpu_features import has_vnni, is_x86
from mghft_export.evaluation.relevance import cannot_judge
from mghft_export.evaluation.verification.accuracy_budget import ROUNDING

MOST_NAMED = 2
"""Most missed limits of a branch in one message; the manifest has all."""


def precision_warning(manifest: Manifest, precision: str) -> str | None:
    """A warning if the manifest speaks against a precision; None if it does not, or does not mention it."""
    found = recorded_verification(manifest, precision)
    if found is None:
        return None
    if is_stale(manifest, precision, found):
        return (
            f"{precision} was verified with other graphs than those in the bundle; "
            "verify it again with `mghft-export verify`"
        )
    if found.passed is False:
        return (
            f"{precision} misses its budget ({missed(found)}; {found.data}); "
            "use another precision, or quantise it in another way and run `mghft-export verify` again"
        )
    return None


def judgement_note(manifest: Manifest, precision: str) -> str | None:
    """A note if "the same class" says nothing about a branch; None if it does, or if the precision was not verified."""
    found = recorded_verification(manifest, precision)
    if found is None or is_stale(manifest, precision, found):
        return None
    sentences = unjudged(found)
    if not sentences:
        return None
    return f"{precision} was verified on stickers whose classes do not need all of it: {'; '.join(sentences)}"


def unjudged(verification: PrecisionVerification) -> tuple[str, ...]:
    """A sentence for each branch that the classes of the verified stickers cannot judge."""
    return tuple(
        cannot_judge(branch, check.kept_without)
        for branch, check in verification.branches.items()
        if check.judged_by_classes is False and check.kept_without is not None
    )


def saturation_warning(
    manifest: Manifest, precision: str, flags: Set[str], machine: str | None = None
) -> str | None:
    """A warning if this CPU may compute an INT8 graph with other results; None if it does not.

    Args:
        flags: flags of the CPU (:func:`mghft_export.cpu_features.cpu_flags`).
        machine: architecture, as `platform.machine()` returns it; this machine's by default.
    """
    made = manifest.quantization.get(precision)
    if precision != "int8" or made is None or made.sums_in_16_bits or has_vnni(flags) or not is_x86(machine):
        return None
    return (
        "int8 of this bundle was made by an earlier version, and its products can overflow on this CPU, which has no "
        "VNNI; make it again with `mghft-export onnx --precision int8`"
    )


def missed(verification: PrecisionVerification) -> str:
    """The limits that are missed, with the numbers."""
    budget, f1 = verification.budget, verification.macro_f1
    parts = []
    if verification.top1_agreement < budget.min_agreement - ROUNDING:
        parts.append(
            f"same class as fp32 for {verification.top1_agreement:.2%} of the stickers instead of "
            f"{_short(100 * budget.min_agreement)} %"
        )
    if f1 is not None and -f1.change > budget.max_drop + ROUNDING:
        parts.append(
            f"macro F1 lower by {-100 * f1.change:.2f} points instead of at most {_short(100 * budget.max_drop)}"
        )
    for branch, check in verification.branches.items():
        if check.missed:
            more = f" and {len(check.missed) - MOST_NAMED} more" if len(check.missed) > MOST_NAMED else ""
            parts.append(f"{branch} branch: {', '.join(check.missed[:MOST_NAMED])}{more}")
    return "; ".join(parts)


def _short(value: float) -> str:
    return f"{value:.10g}"
