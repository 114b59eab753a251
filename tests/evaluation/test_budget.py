"""A budget is held, missed, or cannot be judged on so few stickers."""

from __future__ import annotations

import pytest

from mghft_export.bundle.verifications import Budget
from mghft_export.evaluation.verification.accuracy_budget import (
    default_budget,
    stickers_needed,
    within_budget,
)


@pytest.mark.parametrize(
    ("stickers", "flips", "change", "passed"),
    [
        (200, 3, -0.005, True),  # 98.5 % and half a point, to the last bit
        (200, 4, 0.0, False),
        (265, 2, -0.0086, False),
        (265, 2, None, True),
        (265, 1, -0.006, False),
        (66, 0, 0.0, None),  # one of 66 is more than 1.5 %, so 66 would not show 98.5 %
        (67, 0, 0.0, True),
        (67, 1, 0.0, True),
        (24, 1, -0.03, None),
        (24, 2, 0.0, False),
    ],
)
def test_verdicts(stickers: int, flips: int, change: float | None, passed: bool | None) -> None:
    budget = default_budget("int8-fp16")
    assert within_budget(budget, stickers=stickers, flips=flips, macro_f1_change=change) is passed


def test_defaults_and_other_limits() -> None:
    assert default_budget("fp16") == Budget(min_agreement=0.995, max_drop=0.002)
    assert default_budget("int8", max_drop=0.01) == Budget(min_agreement=0.985, max_drop=0.01)


def test_so_many_stickers_that_one_may_flip() -> None:
    assert stickers_needed(default_budget("fp16")) == 200
    assert stickers_needed(default_budget("int8")) == 67
    nothing = Budget(min_agreement=1, max_drop=0)
    assert stickers_needed(nothing) == 1
    assert within_budget(nothing, stickers=10**6, flips=1, macro_f1_change=0) is False
    assert within_budget(nothing, stickers=3, flips=0, macro_f1_change=0) is True
