"""Measures of a classifier on labelled stickers, from scikit-learn."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mghft_export.evaluation.bootstrap import BootstrapIntervals, bootstrap_intervals
from mghft_export.optional_packages import optional_module
from mghft_export.runtime.pipeline import FloatArray, softmax


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class. Precision is 0 if it is never predicted, and recall is 0 if it never occurs."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Metrics:
    """Metrics of a classifier."""

    stickers: int
    accuracy: float
    macro_f1: float
    """Mean F1 of the classes that occur, as a label or a prediction."""
    weighted_f1: float
    """Mean F1 of the classes, weighted by how often each is the label."""
    ece: float
    """Expected calibration error, 0 to 1."""
    intervals: BootstrapIntervals | None
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Counts: one row per true class, one column per predicted class."""


def measure(
    logits: FloatArray,
    labels: npt.NDArray[np.int64],
    class_names: Sequence[str],
    *,
    groups: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> Metrics:
    """Measure logits [n, classes] against the true classes [n].

    Args:
        groups: a key per sticker, for the bootstrap; see :func:`bootstrap_intervals`.

    Raises:
        MGHFTError: scikit-learn is not installed.
    """
    sklearn = optional_module("sklearn.metrics", "the evaluation")
    numbers = list(range(len(class_names)))
    predicted = logits.argmax(axis=1)
    per_class = sklearn.precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=0)
    return Metrics(
        stickers=len(labels),
        accuracy=float(sklearn.accuracy_score(labels, predicted)),
        macro_f1=float(sklearn.f1_score(labels, predicted, average="macro", zero_division=0)),
        weighted_f1=float(sklearn.f1_score(labels, predicted, average="weighted", zero_division=0)),
        ece=expected_calibration_error(softmax(logits), labels),
        intervals=bootstrap_intervals(labels, predicted, len(class_names), groups=groups, seed=seed),
        classes=tuple(
            ClassMetrics(name, float(precision), float(recall), float(f1), int(support))
            for name, precision, recall, f1, support in zip(class_names, *per_class, strict=True)
        ),
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in sklearn.confusion_matrix(labels, predicted, labels=numbers)
        ),
    )


BINS = 15
"""From Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 3."""


def expected_calibration_error(
    probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], *, bins: int = BINS
) -> float:
    """The distance of confidence from accuracy: abs(accuracy - mean confidence) of a sticker's bin, mean over stickers.

    Args:
        probabilities: [n, classes], rows that sum to 1.
        labels: the true classes, [n].
        bins: number of bins of equal width over (0, 1]; a bin includes its upper edge.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    # Rounded, because a softmax in single precision may exceed an edge by its last bit.
    number = np.clip(np.ceil(np.round(confidence * bins, 6)).astype(int) - 1, 0, bins - 1)
    # In a bin of n_b stickers, n_b * abs(accuracy - confidence) is the size of the summed differences.
    gaps = np.bincount(number, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
