"""The budget of a precision, and whether a measurement keeps it."""

from __future__ import annotations

from mghft_export.bundle.verifications import Budget

ROUNDING = 1e-9
"""Tolerance, so that a loss of exactly the budget is within it."""


FP16 = Budget(min_agreement=0.995, max_drop=0.002)
INT8 = Budget(min_agreement=0.985, max_drop=0.005)


def default_budget(
    precision: str, *, min_agreement: float | None = None, max_drop: float | None = None
) -> Budget:
    """The default budget of a precision; limits that are given replace its own."""
    budget = FP16 if precision == "fp16" else INT8
    return Budget(
        min_agreement=budget.min_agreement if min_agreement is None else min_agreement,
        max_drop=budget.max_drop if max_drop is None else max_drop,
    )


def within_budget(budget: Budget, *, stickers: int, flips: int, macro_f1_change: float | None) -> bool | None:
    """Whether a measurement keeps a budget.

    Args:
        stickers: number of stickers that were measured.
        flips: number of stickers with another class than in float32.
        macro_f1_change: change of macro-F1, negative for a loss; None if F1 is meaningless.

    Returns:
        True or False; None if there are too few stickers for the budget to allow one flip, and at most one flipped.
        So few stickers cannot show whether the budget is held.
    """
    if flips <= 1 and stickers < stickers_needed(budget):
        return None
    agrees = 1 - flips / stickers >= budget.min_agreement - ROUNDING
    return agrees and (macro_f1_change is None or -macro_f1_change <= budget.max_drop + ROUNDING)


def stickers_needed(budget: Budget) -> int:
    """Fewest stickers with which the budget allows one flip; 1 if it allows none, as any number then shows a flip."""
    room = 1 - budget.min_agreement
    # Rounded up to a whole number, but not because of the last bit of a quotient like 1 / 0.005.
    return int(-(-(1 - ROUNDING) // room)) if room > 0 else 1
