"""What a change of a model does to its logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mghft_export.errors import MGHFTError
from mghft_export.evaluation.packages import evaluation_module
from mghft_export.runtime.pipeline import FloatArray


@dataclass(frozen=True)
class Effect:
    """Logits against those of float32.

    Attributes:
        kl: mean over stickers of KL(float32 || changed), in nats.
        max_abs: largest difference of a logit.
        flips: stickers whose most probable class changed.
        stickers: how many were measured on.
    """

    kl: float
    max_abs: float
    flips: int
    stickers: int

    @property
    def agreement(self) -> float:
        """Stickers with the same class, in percent."""
        return 100 * (self.stickers - self.flips) / self.stickers


def effect_of(expected: FloatArray, found: FloatArray) -> Effect:
    """Compare logits [n, classes].

    Raises:
        MGHFTError: a logit is not a finite number.
    """
    if not np.isfinite(found).all():
        raise MGHFTError("quantising gives logits that are not finite; check the checkpoint and the ranges")
    before, after = _log_softmax(expected), _log_softmax(found)
    divergence = (np.exp(before) * (before - after)).sum(axis=1)
    return Effect(
        # Rounding may leave a sum of nothing just below zero.
        kl=max(float(divergence.mean()), 0.0),
        max_abs=float(np.abs(found - expected).max()),
        flips=int((expected.argmax(axis=1) != found.argmax(axis=1)).sum()),
        stickers=len(expected),
    )


def macro_f1(logits: FloatArray, labels: npt.NDArray[np.int64]) -> float:
    """Macro-F1 in percent, as `mghft-export eval` counts it.

    Raises:
        MGHFTError: scikit-learn is not installed.
    """
    sklearn = evaluation_module("sklearn.metrics")
    return 100 * float(sklearn.f1_score(labels, logits.argmax(axis=1), average="macro", zero_division=0))


def _log_softmax(logits: FloatArray) -> npt.NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
