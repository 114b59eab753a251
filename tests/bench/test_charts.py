"""Axes have numbers that can be read, and none that cannot be."""

import re
from itertools import pairwise

import pytest

pytest.importorskip("matplotlib")

from mghft_export.bench.charts import (
    MOST_TICKS,
    latency_against_accuracy,
    latency_against_batch,
    log_ticks,
)
from mghft_export.bench.price import Price
from mghft_export.bench.records import ComparisonRecord, RowRecord
from mghft_export.bench.statistics import latency


def comparison(batch, times, agreements=()):
    rows = [
        RowRecord(
            name=f"row {number}",
            latency=latency([[time / 1e3]], batch),
            price=Price(agreements[number], None, None) if agreements else None,
        )
        for number, time in enumerate(times)
    ]
    return ComparisonRecord(part="vision", batch=batch, rows=rows)


def numbers(svg):
    """The words of a chart that are numbers."""
    words = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    return [
        float(word.replace("\N{MINUS SIGN}", "-")) for word in words if re.fullmatch(r"[\d.\u2212]+", word)
    ]


@pytest.mark.parametrize(
    "values", [[26, 28], [3, 3], [2.1, 14], [0.5, 900], [15, 3000], [0.01, 1e5], [1, 10], [99, 101]]
)
def test_ticks_enclose_the_values_and_are_few(values):
    ticks = log_ticks(values)
    assert ticks[0] <= min(values)
    assert ticks[-1] >= max(values)
    assert 2 <= len(ticks) <= MOST_TICKS
    assert all(one < other for one, other in pairwise(ticks))


def test_the_latency_axis_has_numbers_where_no_power_of_ten_is_near():
    svg = latency_against_batch([comparison(1, [26, 28]), comparison(2, [31, 33])])
    assert {26, 30, 33} <= set(numbers(svg))


def test_one_batch_is_bars_with_their_numbers():
    svg = latency_against_batch([comparison(1, [26.5, 2513.4])])
    assert {26.5, 2513} <= set(numbers(svg))


def test_no_share_is_above_100_percent():
    svg = latency_against_accuracy(comparison(1, [26, 28], [1.0, 0.9925]))
    shares = [number for number in numbers(svg) if number > 50]
    assert max(shares) == 100
    assert min(shares) == 99
    worse = latency_against_accuracy(comparison(1, [26, 28], [1.0, 0.61]))
    assert max(numbers(worse)) == 100
