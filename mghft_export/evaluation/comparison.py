"""Where two models differ on the same stickers, and whether chance can explain it (McNemar's exact test)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mghft_export.errors import DataError
from mghft_export.evaluation.predictions import Predictions
from mghft_export.optional_packages import optional_module
from mghft_export.stickers.dataset import Sticker


@dataclass(frozen=True)
class Guess:
    """A predicted class and its probability."""

    name: str
    confidence: float
    right: bool


@dataclass(frozen=True)
class Flip:
    """A sticker that two models classify differently."""

    sticker: Sticker
    label: str
    first: Guess
    other: Guess


@dataclass(frozen=True)
class Comparison:
    """Two models on the same stickers."""

    stickers: int
    both_right: int
    only_first_right: int
    only_other_right: int
    both_wrong: int
    mcnemar_p: float
    """Probability of a difference in accuracy at least this large if neither model is better."""
    flips: tuple[Flip, ...]
    """Those that only the first model gets right, then those that only the other gets right, then the rest."""

    @property
    def agreement(self) -> float:
        """Share of stickers with the same prediction."""
        return 1 - len(self.flips) / self.stickers


def compare(first: Predictions, other: Predictions, class_names: Sequence[str]) -> Comparison:
    """Compare two models sticker by sticker.

    Raises:
        DataError: the models were run on different stickers.
        MGHFTError: scipy is not installed.
    """
    if first.stickers != other.stickers:
        raise DataError("the two models were run on different stickers; run both on the same ones")
    first_right, other_right = (item.predicted == item.labels for item in (first, other))
    first_guesses, other_guesses = _guesses(first, class_names), _guesses(other, class_names)
    flips = [
        Flip(sticker, class_names[sticker.label], guess, other_guess)
        for sticker, guess, other_guess in zip(first.stickers, first_guesses, other_guesses, strict=True)
        if guess.name != other_guess.name
    ]
    flips.sort(key=lambda flip: (not flip.first.right, not flip.other.right))
    only_first, only_other = int((first_right & ~other_right).sum()), int((other_right & ~first_right).sum())
    return Comparison(
        stickers=len(first.stickers),
        both_right=int((first_right & other_right).sum()),
        only_first_right=only_first,
        only_other_right=only_other,
        both_wrong=int((~first_right & ~other_right).sum()),
        mcnemar_p=mcnemar_p(only_first, only_other),
        flips=tuple(flips),
    )


def mcnemar_p(only_first: int, only_other: int) -> float:
    """Two-sided exact p, if each sticker that only one model gets right falls to either model with probability 1/2."""
    stats = optional_module("scipy.stats", "the evaluation")
    if only_first + only_other == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_other, 0.5).pvalue)


def _guesses(predictions: Predictions, class_names: Sequence[str]) -> list[Guess]:
    rows = zip(predictions.predicted, predictions.labels, predictions.probabilities, strict=True)
    return [Guess(class_names[best], float(row[best]), bool(best == label)) for best, label, row in rows]
