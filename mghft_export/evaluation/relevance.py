"""Whether the classes of some stickers can judge a branch: only where one that says nothing changes enough of them.

A budget lets a few classes go. Where an image says little beside its text, a blank one changes hardly more, and then
"the same class" is true of a vision branch of noise too.
"""

from __future__ import annotations

TENTH = 0.1
"""The most of a branch's share in the classes that a budget may let go unseen: a branch is judged where saying nothing
changes at least ten times the classes that the budget lets change."""

ROUNDING = 1e-9

REPLACED = {"vision": "blank images", "text": "mean text features"}
"""What a branch is replaced by."""


def can_judge(same_class: float, min_agreement: float) -> bool:
    """Whether classes can judge a branch.

    Args:
        same_class: share of classes that stay when the branch says nothing.
        min_agreement: share of classes that a budget asks for.
    """
    changes = 1 - same_class
    return changes > 0 and changes >= (1 - min_agreement) / TENTH - ROUNDING


def cannot_judge(branch: str, same_class: float) -> str:
    """What is said of a branch that the classes cannot judge."""
    return (
        f"with {REPLACED[branch]} {same_class:.0%} of the classes stay: they cannot judge the {branch} branch"
    )
