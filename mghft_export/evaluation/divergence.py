"""The distance between the probabilities of two runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mghft_export.runtime.pipeline import FloatArray


def divergences(expected: FloatArray, found: FloatArray) -> npt.NDArray[np.float64]:
    """KL(expected || found) of each sticker in nats, [n], from logits [n, classes] of both runs."""
    before, after = _log_softmax(expected), _log_softmax(found)
    divergence: npt.NDArray[np.float64] = (np.exp(before) * (before - after)).sum(axis=1)
    # Rounding may leave a sum just below zero.
    return np.maximum(divergence, 0)


def _log_softmax(logits: FloatArray) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
