"""Expected calibration error: how far a model's confidence is from how often it is right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BINS = 15
"""Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 3."""


def expected_calibration_error(
    probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], *, bins: int = BINS
) -> float:
    """The mean over stickers of abs(accuracy - mean confidence) of their bin.

    Args:
        probabilities: [n, classes], rows that sum to 1.
        labels: the true classes, [n].
        bins: of equal width over (0, 1]; a confidence on a bin's upper edge belongs to it.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    # Rounding: a softmax in single precision may exceed an edge by its last bit.
    number = np.clip(np.ceil(np.round(confidence * bins, 6)).astype(int) - 1, 0, bins - 1)
    # In a bin of n_b stickers, n_b * abs(accuracy - confidence) is the size of the summed differences.
    gaps = np.bincount(number, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
