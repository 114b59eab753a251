"""Flips, changes of the measures and their intervals, against resampling by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mghft_export.evaluation.bootstrap import bootstrap_intervals, paired_intervals
from mghft_export.evaluation.verification.measure_changes import flips_by_kind, measure_changes

CLASSES = 3


def some_predictions(flips: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Labels of 60 stickers, predictions that are mostly right, and others that differ in a few stickers."""
    generator = np.random.default_rng(5)
    labels = generator.integers(CLASSES, size=60)
    first = np.where(generator.random(60) < 0.8, labels, (labels + 1) % CLASSES)
    other = first.copy()
    other[:flips] = (other[:flips] + 1) % CLASSES
    return labels, first, other


def f1_by_hand(labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> float:
    scores = []
    for name in set(labels) | set(predicted):
        hits = int(((labels == name) & (predicted == name)).sum())
        scores.append(2 * hits / int((labels == name).sum() + (predicted == name).sum()))
    return float(np.mean(scores))


def test_flips_are_told_apart_by_who_is_right() -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    expected = np.array([0, 0, 0, 1, 0, 0])
    found = np.array([0, 1, 1, 2, 1, 0])  # kept, lost, won, lost, wrong in both, kept
    flips = flips_by_kind(labels, expected, found)
    assert (flips.lost, flips.won, flips.other) == (2, 1, 1)


def test_changes_are_those_of_the_measures() -> None:
    labels, first, other = some_predictions(9)
    accuracy, f1 = measure_changes(labels, first, other, CLASSES)
    assert accuracy.change == pytest.approx((other == labels).mean() - (first == labels).mean())
    assert f1.fp32 == pytest.approx(f1_by_hand(labels, first))
    assert f1.change == pytest.approx(f1_by_hand(labels, other) - f1_by_hand(labels, first))
    assert f1.interval is not None
    assert f1.interval[0] < f1.change < f1.interval[1]


@pytest.mark.parametrize("grouped", [False, True])
def test_paired_interval_is_that_of_resampling_by_hand(grouped: bool) -> None:
    labels, first, other = some_predictions(6)
    keys = [number // 4 for number in range(60)] if grouped else list(range(60))
    found = paired_intervals(
        labels, first, other, CLASSES, groups=keys if grouped else None, seed=3, repetitions=80
    )
    assert found is not None
    members = [np.flatnonzero(np.array(keys) == key) for key in dict.fromkeys(keys)]
    generator = np.random.default_rng(3)
    changes = []
    for _ in range(80):
        rows = np.concatenate(
            [members[number] for number in generator.integers(len(members), size=len(members))]
        )
        changes.append(f1_by_hand(labels[rows], other[rows]) - f1_by_hand(labels[rows], first[rows]))
    assert found.groups == len(members)
    low, high = np.quantile(changes, [0.025, 0.975])
    assert (found.macro_f1.low, found.macro_f1.high) == pytest.approx((low, high))


def test_pairing_leaves_only_the_spread_of_the_difference() -> None:
    labels, first, other = some_predictions(2)
    paired = paired_intervals(labels, first, other, CLASSES)
    alone = bootstrap_intervals(labels, first, CLASSES)
    same = paired_intervals(labels, first, first, CLASSES)
    assert paired is not None
    assert alone is not None
    assert same is not None
    assert paired.accuracy.high - paired.accuracy.low < (alone.accuracy.high - alone.accuracy.low) / 2
    assert (same.accuracy.low, same.accuracy.high) == (0, 0)
    assert (same.macro_f1.low, same.macro_f1.high) == (0, 0)
    assert paired_intervals(labels, first, other, CLASSES, groups=["one"] * 60) is None
