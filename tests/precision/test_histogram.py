"""A histogram that is filled in parts: exact counts, whatever comes in whatever order, in memory that does not grow."""

from __future__ import annotations

import numpy as np
import pytest

from mghft_export.errors import MGHFTError
from mghft_export.precision.histogram import HALF, Histogram

SHAPES = {
    "normal": lambda random, size: random.standard_normal(size),
    "heavy tail": lambda random, size: random.standard_t(2, size),
    "one sign": lambda random, size: random.exponential(3, size),
    "an outlier": lambda random, size: np.append(random.standard_normal(size - 1), -300.0),
    "tiny": lambda random, size: random.standard_normal(size) * 1e-20,
    "large": lambda random, size: random.standard_normal(size) * 1e30,
}


def filled(*parts):
    histogram = Histogram()
    for part in parts:
        histogram.add(np.asarray(part, np.float32))
    return histogram


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_a_quantile_is_that_of_all_values_to_a_bin(shape, seed):
    random = np.random.default_rng(seed)
    values = SHAPES[shape](random, 50_000).astype(np.float32)
    histogram = filled(*np.array_split(values, 7))
    assert histogram.width <= np.abs(values).max() / (HALF / 2)
    for share in (0.501, 0.9, 0.99, 0.999, 0.9999, 1.0):
        exact = np.quantile(np.abs(values).astype(np.float64), share, method="inverted_cdf")
        assert abs(histogram.quantile(share) - exact) <= histogram.width, share
    assert histogram.largest == np.abs(values).max()


def test_order_and_grouping_do_not_count():
    random = np.random.default_rng(0)
    values = np.concatenate([random.standard_normal(20_000) * size for size in (1e-3, 1, 50)]).astype(
        np.float32
    )
    whole = filled(values)
    parts = [filled(*np.array_split(values, 9)), filled(*np.array_split(values[::-1], 5))]
    parts.append(filled(*np.array_split(random.permutation(values), 4)))
    for part in parts:
        assert part.exponent == whole.exponent
        assert part.largest == whole.largest
        np.testing.assert_array_equal(part.counts, whole.counts)


def test_counts_are_those_of_numpy_and_none_is_lost_while_it_grows():
    random = np.random.default_rng(1)
    # Multiples of a power of two fall on the edges of bins, where rounding would show.
    parts = [random.integers(-(2**n), 2**n + 1, 3000).astype(np.float32) / 64 for n in range(2, 12)]
    histogram = filled(*parts)
    edges = np.arange(-HALF, HALF + 1) * histogram.width
    expected, _ = np.histogram(np.concatenate(parts).astype(np.float64), edges)
    np.testing.assert_array_equal(histogram.counts, expected)


def test_a_run_grows_neither_counts_nor_bins():
    histogram = Histogram()
    sizes = set()
    for exponent in range(-90, 120, 10):
        histogram.add(np.full(1000, 2.0**exponent, np.float32))
        sizes.add((histogram.counts.nbytes, len(vars(histogram))))
    assert len(sizes) == 1
    assert histogram.counts.sum() == 21_000


@pytest.mark.parametrize("value", [0.0, 1e-45, 1e-30, 1.0, -7.5, 1e4, 3e38])
def test_a_constant_tensor_has_its_own_magnitude_as_every_quantile(value):
    histogram = filled(np.full(100, value))
    assert histogram.largest == abs(np.float32(value))
    assert abs(histogram.quantile(0.9999) - histogram.largest) <= histogram.width


def test_values_next_to_each_other_are_told_apart_by_nothing_and_harm_nothing():
    values = np.full(1000, 1e4, np.float32)
    values[::2] = np.nextafter(values[::2], np.float32(2e4))
    assert filled(values).quantile(0.9999) == pytest.approx(1e4, rel=1e-3)


def test_an_empty_tensor_adds_nothing():
    histogram = filled(np.zeros((0, 3)), [1.0])
    assert histogram.counts.sum() == 1


@pytest.mark.parametrize(
    ("bad", "word"), [(np.nan, "not a number"), (np.inf, "infinite"), (-np.inf, "infinite")]
)
def test_what_is_not_finite_is_refused(bad, word):
    values = np.ones(100_000, np.float32)
    values[70_000] = bad
    with pytest.raises(MGHFTError, match=word):
        filled(values)


@pytest.mark.parametrize("largest", [0.6, 1.0, 1.7, 2.0, 3.99])
def test_fewer_bins_hold_the_same_counts_up_to_the_largest(largest):
    random = np.random.default_rng(2)
    values = (random.uniform(-1, 1, 40_000) * largest).astype(np.float32)
    values[0] = largest
    counts, edges = filled(values).coarse(1024)
    assert 1024 <= len(counts) // 2 <= 2048
    assert edges[0] == -edges[-1]
    assert edges[-1] > np.float32(largest) >= edges[-2]
    assert counts.sum() == len(values)
    np.testing.assert_array_equal(counts, np.histogram(values.astype(np.float64), edges)[0])
