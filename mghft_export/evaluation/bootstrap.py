"""Bootstrap intervals of accuracy and macro F1, over stickers or over groups of stickers that are not independent.

The confusion matrix of a resample is the sum of the drawn groups' matrices. Both measures follow from it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

REPETITIONS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A percentile interval."""

    low: float
    high: float


@dataclass(frozen=True)
class BootstrapIntervals:
    """95 % bootstrap intervals of accuracy and macro F1."""

    accuracy: Interval
    macro_f1: Interval
    groups: int
    """Number of groups that were resampled; few groups give a rough interval."""


def bootstrap_intervals(
    labels: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    classes: int,
    *,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
    repetitions: int = REPETITIONS,
) -> BootstrapIntervals | None:
    """Resample with replacement, and measure each resample.

    Args:
        labels: the true classes, [n].
        predicted: the predicted classes, [n].
        groups: a key per sticker; stickers with the same key are drawn together (cluster bootstrap).

    Returns:
        The intervals; None for fewer than two groups, because these say nothing about the spread.
    """
    drawn = _resampled(labels, predicted, classes, groups, seed, repetitions)
    if drawn is None:
        return None
    return BootstrapIntervals(_interval(drawn.accuracies), _interval(drawn.macro_f1s), drawn.groups)


def paired_intervals(
    labels: npt.NDArray[np.integer],
    first: npt.NDArray[np.integer],
    other: npt.NDArray[np.integer],
    classes: int,
    *,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
    repetitions: int = REPETITIONS,
) -> BootstrapIntervals | None:
    """Intervals of how much better the other predictions are. Both are measured on the same resamples.

    Args:
        labels: the true classes, [n].
        first: predictions, [n].
        other: predictions for the same stickers, [n].
        groups: as for :func:`bootstrap_intervals`.

    Returns:
        Intervals of the differences, other minus first; None for fewer than two groups.
    """
    # The draws depend only on the groups and the seed, so both get the same draws.
    before, after = (
        _resampled(labels, predicted, classes, groups, seed, repetitions) for predicted in (first, other)
    )
    if before is None or after is None:
        return None
    return BootstrapIntervals(
        _interval(after.accuracies - before.accuracies),
        _interval(after.macro_f1s - before.macro_f1s),
        before.groups,
    )


@dataclass(frozen=True)
class _Resampled:
    """Measures of every resample, and the number of groups that each was drawn from."""

    accuracies: npt.NDArray[np.float64]
    macro_f1s: npt.NDArray[np.float64]
    groups: int


def _resampled(
    labels: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    classes: int,
    groups: Sequence[Hashable] | None,
    seed: int,
    repetitions: int,
) -> _Resampled | None:
    keys: list[Hashable] = list(range(len(labels))) if groups is None else list(groups)
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    if len(numbers) < 2:
        return None
    group = np.array([numbers[key] for key in keys])
    flat = _confusions(group, labels, predicted, classes, len(numbers))
    generator = np.random.default_rng(seed)
    accuracies, f1s = np.empty(repetitions), np.empty(repetitions)
    for repetition in range(repetitions):
        drawn = np.bincount(generator.integers(len(numbers), size=len(numbers)), minlength=len(numbers))
        confusion = (drawn @ flat).reshape(classes, classes)
        accuracies[repetition] = np.trace(confusion) / confusion.sum()
        f1s[repetition] = macro_f1(confusion)
    return _Resampled(accuracies, f1s, len(numbers))


def confusion_matrix(
    labels: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], classes: int
) -> npt.NDArray[np.integer]:
    """Counts of stickers: [true, predicted]."""
    return _confusions(np.zeros_like(labels), labels, predicted, classes, 1).reshape(classes, classes)


def _confusions(
    group: npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer],
    predicted: npt.NDArray[np.integer],
    classes: int,
    groups: int,
) -> npt.NDArray[np.integer]:
    """The flattened confusion matrix of each group: [groups, true * predicted]."""
    cells = (group * classes + labels) * classes + predicted
    return np.bincount(cells, minlength=groups * classes**2).reshape(groups, -1)


def macro_f1(confusion: npt.NDArray[np.integer]) -> float:
    """The mean F1 of the classes that occur, as a label or a prediction. This is scikit-learn's default.

    Args:
        confusion: [true, predicted].
    """
    true_positives = np.diag(confusion)
    occurrences = confusion.sum(axis=0) + confusion.sum(axis=1)
    present = occurrences > 0
    return float(np.mean(2 * true_positives[present] / occurrences[present]))


def _interval(values: npt.NDArray[np.float64]) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))
