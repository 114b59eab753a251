"""The measures are the textbook's: by hand on small cases, and scikit-learn's own where the bootstrap counts itself."""

from __future__ import annotations

import numpy as np
import pytest

from mghft_export.errors import MGHFTError
from mghft_export.evaluation.bootstrap import bootstrap_intervals, macro_f1
from mghft_export.evaluation.metrics import Metrics, expected_calibration_error, measure
from mghft_export.optional_packages import optional_module


@pytest.fixture
def metrics() -> Metrics:
    """Labels 0 0 0 1 1, predicted 0 0 1 1 2; nothing is labelled 2, and class 3 does not occur."""
    pytest.importorskip("sklearn")
    logits = np.log(np.eye(4, dtype=np.float32)[[0, 0, 1, 1, 2]] * 0.6 + 0.1)
    return measure(logits, np.array([0, 0, 0, 1, 1]), ("a", "b", "c", "d"))


def test_accuracy_and_f1_are_those_computed_by_hand(metrics: Metrics) -> None:
    # F1: a 2*2/(3+2) = 0.8, b 2*1/(2+2) = 0.5, c 0; d occurs nowhere and does not count.
    assert metrics.stickers == 5
    assert metrics.accuracy == pytest.approx(3 / 5)
    assert metrics.macro_f1 == pytest.approx((0.8 + 0.5 + 0) / 3)
    assert metrics.weighted_f1 == pytest.approx((3 * 0.8 + 2 * 0.5) / 5)


def test_each_class_has_precision_recall_f1_and_support(metrics: Metrics) -> None:
    a, b, c, d = metrics.classes
    assert (a.precision, a.recall, a.f1, a.support) == pytest.approx((1, 2 / 3, 0.8, 3))
    assert (b.precision, b.recall, b.f1, b.support) == pytest.approx((0.5, 0.5, 0.5, 2))
    assert (c.precision, c.recall, c.f1, c.support) == (0, 0, 0, 0)
    assert (d.name, d.support) == ("d", 0)


def test_confusion_has_true_classes_in_rows(metrics: Metrics) -> None:
    assert metrics.confusion == ((2, 1, 0, 0), (0, 1, 1, 0), (0, 0, 0, 0), (0, 0, 0, 0))


def test_calibration_error_in_metrics_is_of_the_softmax(metrics: Metrics) -> None:
    assert metrics.ece == pytest.approx(abs(0.6 - 0.7))


def test_macro_f1_of_counts_is_scikit_learns() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(0)
    for classes in (2, 5, 9):
        labels, predicted = generator.integers(0, classes, (2, 12))
        confusion = sklearn.confusion_matrix(labels, predicted, labels=range(classes))
        wanted = sklearn.f1_score(labels, predicted, average="macro", zero_division=0)
        assert macro_f1(confusion) == pytest.approx(wanted)


def test_perfectly_calibrated_model_has_no_error() -> None:
    probabilities = np.array([[0.75, 0.25]] * 4 + [[0.4, 0.6]] * 5)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 0, 0])
    assert expected_calibration_error(probabilities, labels) == pytest.approx(0)


def test_overconfident_model_has_the_gap_as_error() -> None:
    probabilities = np.array([[0.95, 0.05]] * 10)
    assert expected_calibration_error(probabilities, np.array([0, 1] * 5)) == pytest.approx(0.45)


def test_bins_are_weighted_by_their_stickers_and_gaps_do_not_cancel() -> None:
    probabilities = np.array([[0.9, 0.1]] * 3 + [[0.6, 0.4]])
    labels = np.array([1, 1, 1, 0])  # overconfident by 0.9 three times, underconfident by 0.4 once
    assert expected_calibration_error(probabilities, labels) == pytest.approx((3 * 0.9 + 0.4) / 4)


def test_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    # 0.6 = 9/15 closes the ninth bin; 0.61 is in the tenth, so the two do not share one.
    probabilities = np.array([[0.6, 0.4], [0.61, 0.39]], np.float32)
    labels = np.array([0, 1])
    assert expected_calibration_error(probabilities, labels) == pytest.approx((0.4 + 0.61) / 2)


def test_bootstrap_is_the_same_for_the_same_seed() -> None:
    labels, predicted = np.random.default_rng(1).integers(0, 3, (2, 40))
    once, again, other = (bootstrap_intervals(labels, predicted, 3, seed=seed) for seed in (7, 7, 8))
    assert once == again
    assert once != other


def test_bootstrap_interval_is_the_binomials() -> None:
    labels = np.zeros(400, np.int64)
    predicted = (np.arange(400) % 4 == 0).astype(np.int64)  # 75 % right
    intervals = bootstrap_intervals(labels, predicted, 2)
    assert intervals is not None
    spread = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert intervals.accuracy.low == pytest.approx(0.75 - spread, abs=0.01)
    assert intervals.accuracy.high == pytest.approx(0.75 + spread, abs=0.01)
    assert intervals.groups == 400


def test_groups_that_agree_widen_the_interval() -> None:
    labels = np.zeros(100, np.int64)
    predicted = np.repeat([0, 1], 50)
    single = bootstrap_intervals(labels, predicted, 2)
    grouped = bootstrap_intervals(labels, predicted, 2, groups=[number // 5 for number in range(100)])
    assert single is not None
    assert grouped is not None
    assert grouped.groups == 20
    ratio = (grouped.accuracy.high - grouped.accuracy.low) / (single.accuracy.high - single.accuracy.low)
    assert ratio == pytest.approx(np.sqrt(5), rel=0.15)


def test_one_group_has_no_interval() -> None:
    labels = np.array([0, 1])
    assert bootstrap_intervals(labels, labels, 2, groups=["a", "a"]) is None


def test_missing_package_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(MGHFTError, match=r"needs the package scikit-learn; .*mghft-export\[eval\]"):
        optional_module("scipy.stats", "the evaluation")
