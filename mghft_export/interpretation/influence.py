"""Measures how much each view changes a trained model's predictions, against a view that says nothing.

If a view changes nothing, the model does not read it, or it repeats the image and the other views. If it changes much,
the model relies on it. Where labels are known, the accuracy shows whether that helps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mghft_export.errors import StickerError
from mghft_export.interpretation.texts_to_check import TextOfImage
from mghft_export.runtime.pipeline import FloatArray, Pipeline, softmax
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.views import VIEWS, split_views

NOTHING = "not described."
"""Replaces a view. With an empty view, a model of separate views would read the whole text instead."""

ALL = "all four"

BATCH = 8


@dataclass(frozen=True)
class Influence:
    """The changes when a view is taken away, as means over stickers."""

    logits: float
    """Root mean square over classes of the change of the logits. They are centred first, because a constant added to
    all of them changes no prediction."""
    probability: float
    """Total variation: half the sum of the absolute changes of the probabilities, from 0 to 1."""
    flips: float
    """Share of stickers that get another class."""
    accuracy: float | None
    """Accuracy with the view minus accuracy without it; None if no labels are known."""


@dataclass(frozen=True)
class InfluenceReport:
    """The influence of each view, and of all four together for comparison."""

    stickers: int
    left_out: tuple[str, ...]
    """For each sticker that could not be used, the reason."""
    views: dict[str, Influence]


def measure_influence(
    rows: Sequence[TextOfImage],
    pipeline: Pipeline,
    *,
    most: int,
    on_batch: Callable[[int], None] = lambda count: None,
) -> InfluenceReport:
    """Run stickers six times: as they are, without each of their views, and without all.

    Args:
        rows: the texts; only those with all four views are used.
        most: the most stickers to run, taken at even distances.
        on_batch: called with the number of stickers that are done.

    Raises:
        StickerError: no sticker can be used.
    """
    whole = [row for row in rows if row.text.strip() and not split_views(row.text).missing]
    chosen = [whole[index] for index in np.linspace(0, len(whole) - 1, min(most, len(whole)), dtype=int)]
    parts: list[FloatArray] = []
    labels: list[int | None] = []
    left_out: list[str] = []
    for start in range(0, len(chosen), BATCH):
        images, kept = [], []
        for row in chosen[start : start + BATCH]:
            try:
                images.append(open_sticker(row.image, background=pipeline.inputs.image.background))
                kept.append(row)
            except StickerError as error:
                left_out.append(str(error))
        if kept:
            parts.append(_logits(pipeline, pipeline.preprocess(images), [row.text for row in kept]))
            labels += [_label(row.label, pipeline.inputs.class_names) for row in kept]
        on_batch(min(start + BATCH, len(chosen)))
    if not parts:
        raise StickerError(
            "no sticker has all four views and an image that can be read; check the paths of the images"
        )
    logits = np.concatenate(parts, axis=1)  # [1 + 4 + 1, stickers, classes]
    views = {
        view: _influence(logits[0], without, labels)
        for view, without in zip((*VIEWS, ALL), logits[1:], strict=True)
    }
    return InfluenceReport(logits.shape[1], tuple(left_out), views)


def without_views(text: str, views: Sequence[str]) -> str:
    """A text of four views with :data:`NOTHING` in place of some; the rest stays as it is."""
    for view, words in zip(VIEWS, split_views(text).views, strict=True):
        if view in views:
            text = text.replace(words, f"#The sticker's {view}: {NOTHING}", 1)
    return text


def _logits(pipeline: Pipeline, pixels: FloatArray, texts: Sequence[str]) -> FloatArray:
    """[B, 3, H, W] and B texts -> [6, B, classes]: with all views, without each, without all."""
    removed: list[tuple[str, ...]] = [(), *((view,) for view in VIEWS), VIEWS]
    return np.stack(
        [pipeline.logits(pixels, [without_views(text, views) for text in texts]) for views in removed]
    )


def _influence(whole: FloatArray, without: FloatArray, labels: Sequence[int | None]) -> Influence:
    change = _centred(without) - _centred(whole)
    classes, others = whole.argmax(1), without.argmax(1)
    known = np.array([label is not None for label in labels])
    truth = np.array([-1 if label is None else label for label in labels])
    accuracy = (
        float((classes == truth)[known].mean() - (others == truth)[known].mean()) if known.any() else None
    )
    return Influence(
        logits=float(np.sqrt((change**2).mean(1)).mean()),
        probability=float(np.abs(softmax(without) - softmax(whole)).sum(1).mean() / 2),
        flips=float((classes != others).mean()),
        accuracy=accuracy,
    )


def _centred(logits: FloatArray) -> FloatArray:
    centred: FloatArray = logits - logits.mean(1, keepdims=True)
    return centred


def _label(name: str | None, class_names: Sequence[str]) -> int | None:
    names = [class_name.casefold() for class_name in class_names]
    return names.index(name.casefold()) if name is not None and name.casefold() in names else None
