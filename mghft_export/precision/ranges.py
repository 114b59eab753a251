"""Choose an INT8 range from a histogram of the values that it has to hold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mghft_export.bundle.quantization_recipe import Calibrator
from mghft_export.precision.histogram import Histogram

ENTROPY_BINS = 1024
"""The entropy is computed over at least this many bins for each sign, as ONNX Runtime's calibrators often have."""
QUANTISED_BINS = 128
"""The entropy calibrator merges the bins into this many, ONNX Runtime's default."""
LITTLE = 1e-4
"""The count that an empty bin gets, as in ONNX Runtime's `smooth_distribution`."""

Counts = npt.NDArray[np.int64]


def range_of(histogram: Histogram, calibrator: Calibrator, percentile: float = 99.99) -> float:
    """The largest magnitude that an INT8 range should hold.

    Args:
        calibrator: `max` takes the largest magnitude seen. `entropy` takes the magnitude that loses least information
            by the Kullback-Leibler divergence. `percentile` takes the magnitude that `percentile` of the values do not
            exceed.
        percentile: a share of the values, in percent. Only the calibrator of that name uses it.
    """
    if calibrator == "max" or histogram.largest == 0:
        return histogram.largest
    if calibrator == "percentile":
        return histogram.quantile(percentile / 100)
    return _entropy_threshold(histogram)


def _entropy_threshold(histogram: Histogram) -> float:
    """The search of ONNX Runtime's `HistogramCollector.get_entropy_threshold`, without its loops over single bins.

    It tries every threshold. Values beyond the threshold count in the outermost bins; this gives p. The bins are merged
    into 128, and each count is spread again over the bins that were not empty; this gives q. The threshold with the
    smallest divergence of q from p wins.
    """
    counts, edges = histogram.coarse(ENTROPY_BINS)
    middle, total = len(counts) // 2, int(counts.sum())
    sides = range(QUANTISED_BINS // 2, middle + 1)
    divergences = []
    for side in sides:
        start, end = middle - side, min(middle + side + 1, len(counts))
        kept = counts[start:end]
        reference = kept.copy()
        reference[0] += counts[:start].sum()
        reference[-1] += total - counts[:end].sum()
        merge = len(kept) // QUANTISED_BINS
        whole = QUANTISED_BINS * merge
        merged = kept[:whole].reshape(QUANTISED_BINS, merge).sum(axis=1)
        merged[-1] += kept[whole:].sum()
        filled = (reference[:whole] != 0).reshape(QUANTISED_BINS, merge).sum(axis=1)
        quantised = np.zeros_like(reference)
        quantised[:whole] = np.repeat(np.where(filled, merged // np.maximum(filled, 1), 0), merge)
        divergences.append(_divergence(reference, quantised))
    best = sides[int(np.argmin(divergences))]
    return min(float(edges[min(middle + best + 1, len(counts))]), histogram.largest)


def _divergence(reference: Counts, quantised: Counts) -> float:
    """The Kullback-Leibler divergence, after empty bins got a little of the other bins' counts."""
    p, q = _without_zeros(reference), _without_zeros(quantised)
    if p is None or q is None:
        return float("inf")
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


def _without_zeros(counts: Counts) -> npt.NDArray[np.float32] | None:
    """Counts in which empty bins got a little of the other bins' counts; None if all bins are empty."""
    filled = counts != 0
    number = int(filled.sum())
    if not number:
        return None
    # float32 as in ONNX Runtime: if two thresholds are nearly as good, rounding decides between them.
    return np.where(filled, counts - LITTLE * (len(counts) - number) / number, LITTLE).astype(np.float32)
