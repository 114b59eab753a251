"""One model on labelled stickers: its predictions and their metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mghft_export.evaluation.metrics import measure
from mghft_export.evaluation.predictions import predict_stickers
from mghft_export.evaluation.predictors import Predictor
from mghft_export.evaluation.report import Evaluated
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.sticker_choice import Resample, bootstrap_groups


def evaluate_predictor(
    predictor: Predictor,
    stickers: tuple[Sticker, ...],
    class_names: Sequence[str],
    *,
    batch: int,
    skip_bad: bool,
    resample: Resample,
    seed: int,
    on_batch: Callable[[int], None],
) -> Evaluated:
    """Predict the classes of stickers, and measure the predictions.

    Raises:
        StickerError: a sticker cannot be used and `skip_bad` is not set.
    """
    predictions = predict_stickers(predictor, stickers, batch=batch, skip_bad=skip_bad, on_batch=on_batch)
    groups = bootstrap_groups(predictions.stickers, resample)
    metrics = measure(predictions.logits, predictions.labels, tuple(class_names), groups=groups, seed=seed)
    return Evaluated(predictor, predictions, metrics)
