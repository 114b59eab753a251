"""What a precision may cost, and whether it keeps to that."""

from __future__ import annotations

from mghft_export.bundle.verifications import Budget

ROUNDING = 1e-9
"""So that a loss of exactly the budget is within it."""


FP16 = Budget(min_agreement=0.995, max_drop=0.002)
INT8 = Budget(min_agreement=0.985, max_drop=0.005)


def default_budget(
    precision: str, *, min_agreement: float | None = None, max_drop: float | None = None
) -> Budget:
    """The budget of a precision, with other limits where they are given."""
    budget = FP16 if precision == "fp16" else INT8
    return Budget(
        min_agreement=budget.min_agreement if min_agreement is None else min_agreement,
        max_drop=budget.max_drop if max_drop is None else max_drop,
    )


def within_budget(budget: Budget, *, stickers: int, flips: int, macro_f1_change: float | None) -> bool | None:
    """Whether a measurement keeps to a budget.

    Args:
        stickers: how many were measured on.
        flips: stickers that got another class than in float32.
        macro_f1_change: minus the loss; None where the F1 means nothing.

    Returns:
        None where at most one sticker flipped among so few that the budget has no room for any: such a set would not
        show whether the budget is held.
    """
    if flips <= 1 and stickers < stickers_needed(budget):
        return None
    agrees = 1 - flips / stickers >= budget.min_agreement - ROUNDING
    return agrees and (macro_f1_change is None or -macro_f1_change <= budget.max_drop + ROUNDING)


def stickers_needed(budget: Budget) -> int:
    """So many stickers that one of them may flip; any number shows whether none does."""
    room = 1 - budget.min_agreement
    # Rounded up to a whole number, but not because of the last bit of a quotient such as 1 / 0.005.
    return int(-(-(1 - ROUNDING) // room)) if room > 0 else 1
