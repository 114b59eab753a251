"""Whether the classes of some stickers can judge a branch: only if a branch that says nothing changes enough classes.

A budget allows a few classes to change. If an image adds little to its text, a blank image hardly changes more than
that. Then even a vision branch that gives noise gets "the same class".
"""

from __future__ import annotations

TENTH = 0.1
"""Largest share of a branch's effect on the classes that a budget may miss. So classes only judge a branch if a branch
that says nothing changes at least ten times as many classes as the budget allows."""

ROUNDING = 1e-9

REPLACED = {"vision": "blank images", "text": "mean text features"}
"""The inputs that silence a branch."""


def can_judge(same_class: float, min_agreement: float) -> bool:
    """Whether classes can judge a branch.

    Args:
        same_class: share of stickers that keep their class when the branch says nothing.
        min_agreement: share of stickers that must keep their class in a budget.
    """
    changes = 1 - same_class
    return changes > 0 and changes >= (1 - min_agreement) / TENTH - ROUNDING


def cannot_judge(branch: str, same_class: float) -> str:
    """The message for a branch that the classes cannot judge."""
    return (
        f"with {REPLACED[branch]} {same_class:.0%} of the classes stay: they cannot judge the {branch} branch"
    )
