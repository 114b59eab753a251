"""How large an INT8 range should be, from a histogram of the values that it has to hold."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mghft_export.precision.histogram import Histogram

Calibrator = Literal["max", "entropy", "percentile"]

ENTROPY_BINS = 1024
"""Of either sign, at least, that the entropy is computed over: ONNX Runtime's calibrators are run with as many."""
QUANTISED_BINS = 128
"""ONNX Runtime's default, into which the entropy calibrator merges them."""


def range_of(histogram: Histogram, calibrator: Calibrator, percentile: float = 99.99) -> float:
    """The largest magnitude that an INT8 range should hold.

    Args:
        calibrator: `max` takes the largest magnitude seen; `entropy` the one that loses least information by
            Kullback and Leibler's measure; `percentile` the one that this share of the magnitudes stays below.
        percentile: in percent.
    """
    if calibrator == "max" or histogram.largest == 0:
        return histogram.largest
    if calibrator == "percentile":
        return histogram.quantile(percentile / 100)
    return _entropy_threshold(histogram)


def _entropy_threshold(histogram: Histogram) -> float:
    """By ONNX Runtime's own search, which tries every threshold in turn."""
    # Its package of quantisers takes a second to load, and only this calibrator needs it.
    from onnxruntime.quantization.calibrate import HistogramCollector

    counts, edges = histogram.coarse(ENTROPY_BINS)
    collector = HistogramCollector(
        method="entropy",
        symmetric=True,
        num_bins=len(counts),
        num_quantized_bins=QUANTISED_BINS,
        percentile=None,
        scenario="same",
    )
    largest = np.float32(histogram.largest)
    found = collector.get_entropy_threshold((counts, edges, -largest, largest), QUANTISED_BINS)
    return float(np.abs(np.asarray(found[:2])).max())
