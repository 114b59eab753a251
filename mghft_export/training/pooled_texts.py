"""Computes frozen text features once and caches them on disk for the same texts, tokenizer and weights."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from mghft_export.config import MGHFTConfig
from mghft_export.files.atomic import replacing_file
from mghft_export.files.hashing import sha256
from mghft_export.model.text import build_text_encoder, encode_views
from mghft_export.model.text_weights import TextWeights, find_text_weights, load_text_weights
from mghft_export.stickers.text_tokens import encode, padded_length
from mghft_export.stickers.views import view_texts

BATCH = 16


def frozen_text_features(
    texts: Sequence[str], tokenizer: Tokenizer, config: MGHFTConfig, weights: TextWeights, folder: Path
) -> Tensor:
    """Pooled texts of stickers, before `l_proj`: n texts -> [n, 4, bert_dim] float32.

    Args:
        folder: the cache, with one file for each set of texts.
    """
    path = folder / f"{cache_key(texts, tokenizer, config, weights)}.npz"
    cached = _read(path, (len(texts), 4, config.bert_dim))
    if cached is not None:
        return cached
    features = encode_texts(texts, tokenizer, config, weights)
    with replacing_file(path) as partial, partial.open("wb") as stream:
        np.savez(stream, features=features.numpy())
    return features


def cache_key(texts: Sequence[str], tokenizer: Tokenizer, config: MGHFTConfig, weights: TextWeights) -> str:
    """A hash of all that the features depend on."""
    parts = {
        "texts": list(texts),
        "tokenizer": tokenizer.to_str(),
        "weights": sha256(find_text_weights(weights)),
        "encoder": dict(config.text_encoder),
        "length": config.text_length,
        "views": config.views,
        "pooling": config.pooling,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@torch.no_grad()
def encode_texts(
    texts: Sequence[str], tokenizer: Tokenizer, config: MGHFTConfig, weights: TextWeights
) -> Tensor:
    """Compute the features; each distinct view is encoded once."""
    encoder = build_text_encoder(config, "sdpa")
    encoder.load_state_dict(load_text_weights(weights))
    encoder.eval()
    views = [view_texts(text, config.views) for text in texts]
    # Sorted by length, so that the rows of a batch need little padding.
    distinct = sorted({view for four in views for view in four}, key=lambda view: (len(view), view))
    pad_to = padded_length(config.pooling, config.text_length)
    rows: dict[str, Tensor] = {}
    for start in range(0, len(distinct), BATCH):
        batch = distinct[start : start + BATCH]
        tokens = encode(tokenizer, batch, max_length=config.text_length, pad_to=pad_to)
        ids, mask = torch.from_numpy(tokens.input_ids), torch.from_numpy(tokens.attention_mask)
        pooled = encode_views(encoder, ids.unsqueeze(0), mask.unsqueeze(0), config.pooling)[0]
        rows |= dict(zip(batch, pooled, strict=True))
    return torch.stack([torch.stack([rows[view] for view in four]) for four in views])


def _read(path: Path, shape: tuple[int, int, int]) -> Tensor | None:
    """The features in the file; None if it is missing or damaged, so that the caller computes them again."""
    try:
        with np.load(path, allow_pickle=False) as content:
            features = torch.from_numpy(content["features"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return features if tuple(features.shape) == shape else None
