"""Real stickers as inputs. A few batches take turns, so that no run finds its inputs in the caches.

Real texts also have real lengths; with random tokens, a benchmark would have to make the lengths up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from mghft_export.bench.subjects import Subject
from mghft_export.bundle import Bundle
from mghft_export.bundle.calibration_manifest import read_manifest
from mghft_export.config import LEAST_TEXT_LENGTH
from mghft_export.errors import MGHFTError
from mghft_export.precision.calibration.calibration_set import CalibrationSet
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.preprocess import ImagePreprocessing, preprocess_batch
from mghft_export.stickers.text_tokens import encode, padded_length
from mghft_export.stickers.views import distinct_texts, view_texts

ROTATION = 4
"""Batches that take turns."""

Batch = tuple[Sticker, ...]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Texts:
    """Token ids and mask [B x views, L]; the views of a sticker are consecutive rows."""

    input_ids: Ids
    attention_mask: Ids


def sticker_batches(subject: Subject) -> list[Batch]:
    """The batches that take turns. A batch larger than the set repeats the set's stickers.

    Raises:
        DataError: there are no stickers.
    """
    root = subject.stickers or default_calibration_set()
    stickers = CalibrationSet(root, read_manifest(root)).stickers
    return [
        tuple(stickers[(number * subject.batch + item) % len(stickers)] for item in range(subject.batch))
        for number in range(ROTATION)
    ]


def pixel_batches(batches: Sequence[Batch], bundle: Bundle) -> list[npt.NDArray[np.float32]]:
    """Pixels of each batch, [B, 3, H, W]; each sticker is decoded once."""
    spec = preprocessing(bundle)
    background = bundle.manifest.image.background
    rows = {
        path: preprocess_batch([open_sticker(path, background=background)], spec)[0]
        for path in {sticker.image: None for batch in batches for sticker in batch}
    }
    return [np.stack([rows[sticker.image] for sticker in batch]) for batch in batches]


def preprocessing(bundle: Bundle) -> ImagePreprocessing:
    """The preprocessing of the bundle's images."""
    image = bundle.manifest.image
    return ImagePreprocessing(image.height, image.width, image.crop_fraction, image.mean, image.std)


def distinct_views(bundle: Bundle) -> int:
    """Number of texts to encode per sticker: 1 if all views read the whole text."""
    return distinct_texts(bundle.manifest.text.views)


def text_batches(
    batches: Sequence[Batch], bundle: Bundle, tokenizer: Tokenizer, *, views: int, length: int | None = None
) -> list[Texts]:
    """Token ids of each batch. All have one length, because torch.compile compiles again for each new length.

    Args:
        views: 4, or 1 if all views are equal.
        length: tokens of a text, which is cut or padded; by default the training length if padding is pooled,
            otherwise the length of the longest text.

    Raises:
        MGHFTError: the text encoder has no positions for this many tokens.
    """
    settings = bundle.manifest.text
    if length is not None and not LEAST_TEXT_LENGTH <= length <= settings.max_length:
        raise MGHFTError(
            f"texts of {length} tokens do not run; the model takes {LEAST_TEXT_LENGTH} to {settings.max_length}"
        )
    rows = [
        text
        for batch in batches
        for sticker in batch
        for text in view_texts(sticker.text, settings.views)[:views]
    ]
    most = length or settings.max_length
    pad_to = length or padded_length(settings.pooling, most)
    tokens = encode(tokenizer, rows, max_length=most, pad_to=pad_to)
    each = len(rows) // len(batches)
    return [
        Texts(tokens.input_ids[start : start + each], tokens.attention_mask[start : start + each])
        for start in range(0, len(rows), each)
    ]
