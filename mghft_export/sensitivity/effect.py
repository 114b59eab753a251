"""The effect of a change of a model on its logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mghft_export.errors import MGHFTError
from mghft_export.evaluation.divergence import divergences
from mghft_export.runtime.pipeline import FloatArray


@dataclass(frozen=True)
class Effect:
    """Logits compared with float32's.

    Attributes:
        kl: mean over stickers of KL(float32 || changed), in nats.
        kl_error: standard error of that mean. Means that differ by less than their errors cannot be told apart with
            these stickers.
        max_abs: largest difference of a logit.
        flips: number of stickers with another most probable class.
        stickers: number of stickers that were measured.
    """

    kl: float
    kl_error: float
    max_abs: float
    flips: int
    stickers: int

    @property
    def agreement(self) -> float:
        """Share of stickers with the same class."""
        return (self.stickers - self.flips) / self.stickers


def effect_of(expected: FloatArray, found: FloatArray) -> Effect:
    """Compare logits [n, classes].

    Raises:
        MGHFTError: a logit is not a finite number.
    """
    if not np.isfinite(found).all():
        raise MGHFTError("quantising gives logits that are not finite; check the checkpoint and the ranges")
    divergence = divergences(expected, found)
    return Effect(
        kl=float(divergence.mean()),
        kl_error=float(divergence.std() / np.sqrt(len(divergence))),
        max_abs=float(np.abs(found - expected).max()),
        flips=int((expected.argmax(axis=1) != found.argmax(axis=1)).sum()),
        stickers=len(expected),
    )
