"""Run a predictor over stickers, batch by batch, and measure its throughput."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from mghft_export.errors import DataError, MGHFTError, StickerError
from mghft_export.evaluation.predictors import Predictor
from mghft_export.runtime.pipeline import FloatArray, softmax
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.image import open_sticker


@dataclass(frozen=True)
class Throughput:
    """Wall time of a run. The first batch runs once before the clock starts."""

    stickers: int
    decode_seconds: float
    """Reading and decoding the image files."""
    model_seconds: float
    """Everything else: resize, tokens, the three branches."""

    @property
    def with_decoding(self) -> float:
        """Stickers per second, from file to logits."""
        return self.stickers / (self.decode_seconds + self.model_seconds)

    @property
    def without_decoding(self) -> float:
        """Stickers per second, from decoded image and text to logits."""
        return self.stickers / self.model_seconds


@dataclass(frozen=True)
class Predictions:
    """The predictions for some stickers.

    Attributes:
        stickers: the stickers that could be read.
        logits: [n, classes] float32.
        skipped: why each of the other stickers was left out.
    """

    stickers: tuple[Sticker, ...]
    logits: FloatArray
    skipped: tuple[str, ...]
    throughput: Throughput

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The true classes: [n]."""
        return np.array([sticker.label for sticker in self.stickers], np.int64)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The most probable classes: [n]."""
        result: npt.NDArray[np.int64] = self.logits.argmax(axis=1)
        return result

    @property
    def probabilities(self) -> FloatArray:
        """The probabilities: [n, classes]."""
        return softmax(self.logits)


def predict_stickers(
    predictor: Predictor,
    stickers: Sequence[Sticker],
    *,
    batch: int = 16,
    skip_bad: bool = False,
    on_batch: Callable[[int], None] = lambda _: None,
) -> Predictions:
    """Predict stickers, in their order.

    Args:
        batch: stickers per batch.
        skip_bad: leave out stickers without a text or with an image that cannot be decoded.
        on_batch: called with the number of stickers done since the last call.

    Raises:
        StickerError: a sticker cannot be used and `skip_bad` is not set.
        DataError: no sticker can be used.
        MGHFTError: a logit is not a finite number.
    """
    kept: list[Sticker] = []
    skipped: list[str] = []
    rows: list[FloatArray] = []
    decode_seconds = model_seconds = 0.0
    for start in range(0, len(stickers), batch):
        chosen = stickers[start : start + batch]
        began = time.perf_counter()
        images, texts = [], []
        for sticker in chosen:
            try:
                images.append(open_with_text(sticker, predictor.background))
            except StickerError as error:
                if not skip_bad:
                    raise
                skipped.append(str(error))
                continue
            texts.append(sticker.text)
            kept.append(sticker)
        decode_seconds += time.perf_counter() - began
        if images:
            if not rows:
                predictor.logits(images, texts)
            began = time.perf_counter()
            rows.append(np.asarray(predictor.logits(images, texts), np.float32))
            model_seconds += time.perf_counter() - began
        on_batch(len(chosen))
    if not rows:
        raise DataError(
            "no sticker is left to evaluate on; check the data set with `mghft-export data check`"
        )
    logits = np.concatenate(rows)
    _require_finite(logits, kept, predictor.name)
    return Predictions(
        tuple(kept), logits, tuple(skipped), Throughput(len(kept), decode_seconds, model_seconds)
    )


def require_text(sticker: Sticker) -> None:
    """Refuse a sticker without text.

    Raises:
        StickerError: the sticker has no text.
    """
    if not sticker.text.strip():
        raise StickerError(f"{sticker.image} has no text, which MGHFT reads; add texts to the data set")


def open_with_text(sticker: Sticker, background: str) -> Image.Image:
    """Open the image of a sticker that has a text.

    Raises:
        StickerError: the sticker has no text, or its image cannot be decoded.
    """
    require_text(sticker)
    return open_sticker(sticker.image, background=background)


def _require_finite(logits: FloatArray, stickers: Sequence[Sticker], name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        raise MGHFTError(
            f"{name} gives logits that are not finite for {len(bad)} of {len(logits)} stickers "
            f"(first: {stickers[bad[0]].image}); its numbers overflow, so use a higher precision"
        )
