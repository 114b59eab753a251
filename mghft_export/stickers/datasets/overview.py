"""Statistics of a data set: classes by split, lengths of texts, missing views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mghft_export.stickers.dataset import StickerSet
from mghft_export.stickers.text_tokens import encode, load_tokenizer
from mghft_export.stickers.views import VIEWS, split_views

BERT_TOKENS = 512
"""Positions of BERT-base-uncased. A longer text loses its end."""

_BATCH = 1000


@dataclass(frozen=True)
class Lengths:
    """Percentiles of the lengths of texts."""

    p5: int
    p50: int
    p95: int
    p99: int
    longest: int


@dataclass(frozen=True)
class DatasetStatistics:
    """Statistics of a data set's usable stickers."""

    class_counts: dict[str, dict[str, int]]
    """Split -> class name -> number of stickers."""
    words: Lengths | None
    """Words per text; None if no sticker has a text."""
    tokens: Lengths | None
    """Tokens per whole text, with ``[CLS]`` and ``[SEP]``; None without texts or without a tokenizer."""
    cut_texts: int | None
    """Number of texts with more than :data:`BERT_TOKENS` tokens; None without a tokenizer."""
    without_text: int
    missing_views: dict[str, int]
    """View -> number of stickers with a text that lacks this view."""
    incomplete: int
    """Number of stickers with a text that lacks at least one view."""


def describe(stickers: StickerSet, tokenizer: Path | None = None) -> DatasetStatistics:
    """Compute the statistics of a data set.

    Args:
        tokenizer: a tokenizer file, to count tokens with.
    """
    everything = [sticker for split in stickers.splits.values() for sticker in split]
    texts = [sticker.text for sticker in everything if sticker.text.strip()]
    missing = [split_views(text).missing for text in texts]
    by_view = Counter(view for views in missing for view in views)
    tokens = _token_counts(texts, tokenizer) if tokenizer else []
    return DatasetStatistics(
        class_counts={
            name: {
                class_name: sum(sticker.label == label for sticker in split)
                for label, class_name in enumerate(stickers.class_names)
            }
            for name, split in stickers.splits.items()
        },
        words=_lengths([len(text.split()) for text in texts]),
        tokens=_lengths(tokens),
        cut_texts=sum(count > BERT_TOKENS for count in tokens) if tokenizer else None,
        without_text=len(everything) - len(texts),
        missing_views={view: by_view[view] for view in VIEWS},
        incomplete=sum(map(bool, missing)),
    )


def _token_counts(texts: Sequence[str], file: Path) -> list[int]:
    tokenizer = load_tokenizer(file)
    counts: list[int] = []
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        longest = max(map(len, batch)) * 4 + 2  # a character gives at most as many tokens as bytes
        counts += encode(tokenizer, batch, max_length=longest).attention_mask.sum(1).tolist()
    return counts


def _lengths(counts: Sequence[int]) -> Lengths | None:
    if not counts:
        return None
    p5, p50, p95, p99 = np.percentile(counts, (5, 50, 95, 99), method="nearest").tolist()
    return Lengths(int(p5), int(p50), int(p95), int(p99), max(counts))
