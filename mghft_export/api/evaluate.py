"""Evaluate a model on labelled stickers, as `mghft-export eval` does for one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mghft_export.bundle import Bundle
from mghft_export.evaluation.evaluated import evaluate_predictor
from mghft_export.evaluation.predictors import open_predictor
from mghft_export.evaluation.report import Evaluated
from mghft_export.stickers.dataset import StickerSet, load_dataset
from mghft_export.stickers.sticker_choice import (
    Resample,
    choose_split,
    choose_stickers,
    require_same_classes,
)


def evaluate(
    model: str | Path | Bundle,
    data: str | Path | StickerSet,
    *,
    split: str | None = None,
    topics: Sequence[str] = (),
    precision: str = "fp32",
    provider: str = "cpu",
    engine: str | None = None,
    batch: int = 16,
    resample: Resample = "sticker",
    seed: int = 0,
    skip_bad: bool = False,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Evaluated:
    """Evaluate a bundle or a checkpoint on labelled stickers.

    Args:
        data: a data set; docs/datasets.md lists the supported layouts.
        split: the split to evaluate on: test by default, or all stickers if there are no splits.
        topics: only stickers of these packs or styles; all by default.
        precision: precision of a bundle's graphs.
        provider: what runs a bundle's graphs; for a checkpoint, the PyTorch device `cpu` or `cuda`.
        engine: a folder of engines, or its name in the bundle's `engines/`.
        batch: stickers per batch.
        resample: what the bootstrap draws for the confidence intervals: stickers, file stems or topics.
        seed: seed of the bootstrap.
        skip_bad: leave out rows and stickers that cannot be used.
        on_batch: called after each batch with its number of stickers.

    Returns:
        `.metrics` has accuracy, macro-F1 and the confusion matrix; `.predictions` has logits and labels.

    Raises:
        DataError: the data set cannot be read, or its classes differ from the model's.
        MGHFTError: the model cannot be read, or cannot run with these options.
    """
    stickers = data if isinstance(data, StickerSet) else load_dataset(Path(data), skip_bad=skip_bad)
    place = model.root if isinstance(model, Bundle) else Path(model)
    predictor = open_predictor(place, precision=precision, provider=provider, engine=engine)
    require_same_classes(predictor.class_names, stickers.class_names, predictor.name)
    chosen = choose_stickers(stickers, choose_split(stickers, split), tuple(topics))
    return evaluate_predictor(
        predictor,
        chosen,
        stickers.class_names,
        batch=batch,
        skip_bad=skip_bad,
        resample=resample,
        seed=seed,
        on_batch=on_batch,
    )
