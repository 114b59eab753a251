"""What a precision changes in the classes of stickers, and in the metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mghft_export.bundle.verifications import Flips, MeasureChange
from mghft_export.evaluation.bootstrap import confusion_matrix, macro_f1, paired_intervals


def flips_by_kind(
    labels: npt.NDArray[np.int64], expected: npt.NDArray[np.int64], found: npt.NDArray[np.int64]
) -> Flips:
    """Count the stickers with a changed class, by which class is right. The arguments are classes, [n] each."""
    flipped, right, still_right = expected != found, expected == labels, found == labels
    return Flips(
        lost=int((flipped & right).sum()),
        won=int((flipped & still_right).sum()),
        other=int((flipped & ~right & ~still_right).sum()),
    )


def measure_changes(
    labels: npt.NDArray[np.int64],
    expected: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
    classes: int,
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> tuple[MeasureChange, MeasureChange]:
    """Accuracy and macro F1 in float32 and in the precision, with intervals of the differences."""
    before, after = (confusion_matrix(labels, predicted, classes) for predicted in (expected, found))
    intervals = paired_intervals(labels, expected, found, classes, groups=groups, seed=seed)
    accuracy = MeasureChange(
        fp32=float((expected == labels).mean()),
        precision=float((found == labels).mean()),
        interval=None if intervals is None else (intervals.accuracy.low, intervals.accuracy.high),
    )
    f1 = MeasureChange(
        fp32=macro_f1(before),
        precision=macro_f1(after),
        interval=None if intervals is None else (intervals.macro_f1.low, intervals.macro_f1.high),
    )
    return accuracy, f1
