"""What a change of a model does to its logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mghft_export.errors import MGHFTError
from mghft_export.evaluation.divergence import divergences
from mghft_export.runtime.pipeline import FloatArray


@dataclass(frozen=True)
class Effect:
    """Logits against those of float32.

    Attributes:
        kl: mean over stickers of KL(float32 || changed), in nats.
        kl_error: standard error of that mean: means that are no farther apart may be the same, for all that so few
            stickers tell.
        max_abs: largest difference of a logit.
        flips: stickers whose most probable class changed.
        stickers: how many were measured on.
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
