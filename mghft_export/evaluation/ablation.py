"""How much a model's classes depend on the image and on the text. One is replaced, and the other stays as it is.

The vision branch runs once for each image, own or noise, and each distinct text is encoded once. Only the fusion branch
runs for every row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mghft_export.errors import DataError, MGHFTError, StickerError
from mghft_export.evaluation.bootstrap import (
    BootstrapIntervals,
    bootstrap_intervals,
    confusion_matrix,
    macro_f1,
)
from mghft_export.evaluation.predictions import require_text
from mghft_export.evaluation.replacements import blank_image, noise_image, random_order, single_view
from mghft_export.runtime.pipeline import FloatArray, Pipeline
from mghft_export.runtime.session import Array
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.sticker_choice import Resample, bootstrap_groups
from mghft_export.stickers.views import VIEWS

OWN, BLANK, ANOTHER, NOISE, MEAN = "own", "blank", "another's", "noise", "mean features"
NO_TEXT = "none"
"""Name of the text variant for models that have learned features for stickers without text."""


@dataclass(frozen=True)
class AblationRow:
    """The result for stickers with this image and this text.

    Attributes:
        stickers: number of stickers that have this text.
        macro_f1: mean F1 of the classes that occur, as a label or a prediction.
        intervals: 95 % confidence intervals of accuracy and macro F1; None for fewer than two groups.
        same_class: share of these stickers that keep the class of their own image and text.
    """

    image: str
    text: str
    stickers: int
    accuracy: float
    macro_f1: float
    intervals: BootstrapIntervals | None
    same_class: float


@dataclass(frozen=True)
class Ablation:
    """All rows; the first has the own image and text.

    Attributes:
        stickers: the stickers that could be used.
        skipped: why each of the other stickers was left out.
    """

    stickers: tuple[Sticker, ...]
    skipped: tuple[str, ...]
    rows: tuple[AblationRow, ...]

    def row(self, image: str, text: str) -> AblationRow:
        """The row of an image and a text, which must exist."""
        return next(item for item in self.rows if (item.image, item.text) == (image, text))


@dataclass(frozen=True)
class TextVariant:
    """A text that replaces every sticker's own text.

    Attributes:
        features: text features, [n, 4, C].
        has: which stickers have this text, [n].
    """

    name: str
    features: FloatArray
    has: npt.NDArray[np.bool_]


def ablate(
    pipeline: Pipeline,
    stickers: Sequence[Sticker],
    *,
    batch: int = 16,
    skip_bad: bool = False,
    resample: Resample = "sticker",
    seed: int = 0,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Ablation:
    """Run stickers with replaced images and texts.

    Args:
        batch: stickers per batch.
        skip_bad: leave out stickers without a text or with an image that cannot be decoded.
        resample: what the bootstrap draws: stickers, file stems or topics.
        seed: seed of the bootstrap, of the noise, and of the choice of another sticker.
        on_batch: called with the number of stickers done since the last call.

    Raises:
        StickerError: a sticker cannot be used and `skip_bad` is not set.
        DataError: fewer than two stickers can be used.
        MGHFTError: a logit is not a finite number.
    """
    used, skipped = _usable(stickers, pipeline.inputs.image.background, skip_bad)
    if len(used) < 2:
        raise DataError("an ablation needs two stickers, so that one can have another's image; use more")
    texts, logits = replaced_logits(pipeline, used, batch=batch, seed=seed, on_batch=on_batch)
    if not all(np.isfinite(found).all() for found in logits.values()):
        raise MGHFTError(
            "the model gives logits that are not finite: its numbers overflow; use a higher precision"
        )
    has = {text.name: text.has for text in texts}
    predicted = {key: found.argmax(axis=1) for key, found in logits.items()}
    return Ablation(
        tuple(used),
        tuple(skipped),
        tuple(
            _row(key, classes, predicted[OWN, OWN], has[key[1]], used, pipeline, resample, seed)
            for key, classes in predicted.items()
        ),
    )


def replaced_logits(
    pipeline: Pipeline,
    stickers: Sequence[Sticker],
    *,
    batch: int,
    seed: int,
    on_batch: Callable[[int], None] = lambda _: None,
) -> tuple[list[TextVariant], dict[tuple[str, str], FloatArray]]:
    """The text variants, and logits [n, classes] for each pair of image and text; see :func:`ablate`."""
    order = random_order(len(stickers), seed)
    another = np.empty_like(order)
    another[order] = np.roll(order, 1)
    texts = text_variants(pipeline, [item.text for item in stickers], another)
    keys = [(image, OWN) for image in (OWN, BLANK, ANOTHER, NOISE)] + [(OWN, item.name) for item in texts[1:]]
    shape = len(stickers), len(pipeline.inputs.class_names)
    logits = {key: np.empty(shape, np.float32) for key in keys}
    for rows, images in _images(pipeline, stickers, order, batch, seed):
        for name, tokens in images.items():
            logits[name, OWN][rows] = pipeline.fused_logits(tokens, texts[0].features[rows])
        for text in texts[1:]:
            logits[OWN, text.name][rows] = pipeline.fused_logits(images[OWN], text.features[rows])
        on_batch(len(rows))
    return texts, logits


def text_variants(
    pipeline: Pipeline, texts: Sequence[str], another: npt.NDArray[np.intp]
) -> list[TextVariant]:
    """The own texts, and the texts that replace them. A view that no text has is left out.

    Args:
        another: for each sticker, the number of another sticker, [n].
    """
    everyone = np.ones(len(texts), np.bool_)
    own = pipeline.encode_texts(texts)
    mean = np.broadcast_to(own.mean(axis=0, keepdims=True), own.shape)
    variants = [
        TextVariant(OWN, own, everyone),
        TextVariant(MEAN, mean, everyone),
        TextVariant(ANOTHER, own[another], everyone),
    ]
    if pipeline.inputs.no_text is not None:
        absent = np.broadcast_to(pipeline.inputs.no_text[None], own.shape)
        variants.append(TextVariant(NO_TEXT, absent, everyone))
    for view in VIEWS:
        alone = [single_view(text, view) for text in texts]
        has = np.array([part is not None for part in alone])
        if has.any():
            features = np.zeros_like(own)
            features[has] = pipeline.encode_texts([part for part in alone if part is not None])
            variants.append(TextVariant(f"{view} alone", features, has))
    return variants


def _usable(stickers: Sequence[Sticker], background: str, skip_bad: bool) -> tuple[list[Sticker], list[str]]:
    used, skipped = [], []
    for sticker in stickers:
        try:
            require_text(sticker)
            if skip_bad:
                open_sticker(sticker.image, background=background)
        except StickerError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
        else:
            used.append(sticker)
    return used, skipped


def _images(
    pipeline: Pipeline, stickers: Sequence[Sticker], order: npt.NDArray[np.intp], batch: int, seed: int
) -> Iterator[tuple[npt.NDArray[np.intp], dict[str, Mapping[str, Array]]]]:
    """Numbers of some stickers, and the vision branch's outputs for each image that replaces theirs.

    Stickers come in the random order, so another sticker's image is the one before. Only that one is kept, not all.
    """
    settings = pipeline.inputs.image

    def outputs(numbers: npt.NDArray[np.intp]) -> Mapping[str, Array]:
        opened = [open_sticker(stickers[number].image, background=settings.background) for number in numbers]
        return pipeline.vision_outputs(pipeline.preprocess(opened))

    blank = pipeline.vision_outputs(pipeline.preprocess([blank_image(settings)]))
    before = outputs(order[-1:])
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        own = outputs(rows)
        noise = [noise_image(settings, seed, int(number)) for number in rows]
        yield (
            rows,
            {
                OWN: own,
                BLANK: {name: np.repeat(array, len(rows), axis=0) for name, array in blank.items()},
                ANOTHER: {name: np.concatenate([before[name], array[:-1]]) for name, array in own.items()},
                NOISE: pipeline.vision_outputs(pipeline.preprocess(noise)),
            },
        )
        before = {name: array[-1:] for name, array in own.items()}


def _row(
    key: tuple[str, str],
    predicted: npt.NDArray[np.intp],
    expected: npt.NDArray[np.intp],
    has: npt.NDArray[np.bool_],
    stickers: Sequence[Sticker],
    pipeline: Pipeline,
    resample: Resample,
    seed: int,
) -> AblationRow:
    chosen = [item for item, one in zip(stickers, has, strict=True) if one]
    labels = np.array([item.label for item in chosen], np.int64)
    found, classes = predicted[has], len(pipeline.inputs.class_names)
    groups = bootstrap_groups(chosen, resample)
    return AblationRow(
        *key,
        stickers=len(chosen),
        accuracy=float((found == labels).mean()),
        macro_f1=macro_f1(confusion_matrix(labels, found, classes)),
        intervals=bootstrap_intervals(labels, found, classes, groups=groups, seed=seed),
        same_class=float((found == expected[has]).mean()),
    )
