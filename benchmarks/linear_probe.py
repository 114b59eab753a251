"""Measures how much images can add to texts on the emoji set, with linear classifiers cross-validated over emoji.

    python benchmarks/linear_probe.py STICKERS

No emoji is in two folds, so this is the `unseen emoji` protocol without a network. Texts are frozen MiniLM features.
Images are histograms of oriented gradients with an 8 x 8 thumbnail. Both are combined as one vector and as a product of
probabilities.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mghft_export.files.cache_folder import cache_folder
from mghft_export.model.text_weights import from_place
from mghft_export.stickers.dataset import Sticker, load_dataset
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.text_tokens import default_tokenizer_path, load_tokenizer
from mghft_export.training.pooled_texts import frozen_text_features
from mghft_export.training.recipe import load_recipe

RESULTS = Path(__file__).parent / "results" / "linear_probe.json"
SIDE, CELL, DIRECTIONS, FOLDS = 64, 8, 9, 5
IMAGE_WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
STRENGTHS = (0.003, 0.03, 0.3)
"""Inverse regularisation. The best on the folds is reported, which flatters all rows in the same way."""
Array = npt.NDArray[np.float64]


def image_features(image: Image.Image) -> Array:
    """A histogram of gradient directions for each cell, weighted by magnitude, and a thumbnail, as one vector."""
    rgb = image.convert("RGB")
    grey = np.asarray(rgb.resize((SIDE, SIDE)), dtype=float).mean(axis=2) / 255
    vertical, horizontal = np.gradient(grey)
    magnitude = np.hypot(vertical, horizontal)
    direction = (np.arctan2(vertical, horizontal) % np.pi / np.pi * DIRECTIONS).astype(int) % DIRECTIONS
    rows, columns = np.indices(grey.shape) // CELL
    cells = (rows * (SIDE // CELL) + columns) * DIRECTIONS + direction
    histograms = np.bincount(cells.ravel(), magnitude.ravel(), (SIDE // CELL) ** 2 * DIRECTIONS)
    return np.concatenate([histograms, np.asarray(rgb.resize((CELL, CELL)), dtype=float).ravel() / 255])


def out_of_fold(features: Array, labels: npt.NDArray[np.int64], emoji: npt.NDArray[np.str_]) -> Array:
    """Class probabilities from classifiers that did not train on a sticker's emoji, at the best strength."""
    best, best_f1 = np.zeros(0), -1.0
    for strength in STRENGTHS:
        found = np.zeros((len(labels), labels.max() + 1))
        for seen, unseen in GroupKFold(FOLDS).split(features, labels, emoji):
            classifier = make_pipeline(
                StandardScaler(), LogisticRegression(C=strength, max_iter=500, class_weight="balanced")
            )
            found[unseen] = classifier.fit(features[seen], labels[seen]).predict_proba(features[unseen])
        if (value := macro_f1(labels, found)) > best_f1:
            best, best_f1 = found, value
    return best


def macro_f1(labels: npt.NDArray[np.int64], probabilities: Array) -> float:
    """Macro-F1 of the most probable classes."""
    return float(f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0))


def text_features(stickers: list[Sticker], classes: int) -> Array:
    """The frozen features of the four views, concatenated."""
    config = load_recipe("mini").build_config(classes)
    tokenizer = load_tokenizer(default_tokenizer_path())
    texts = [sticker.text for sticker in stickers]
    found = frozen_text_features(texts, tokenizer, config, from_place("minilm"), cache_folder("text"))
    return np.asarray(found.flatten(1), dtype=np.float64)


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stickers", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load_dataset(arguments.stickers)
    stickers = [sticker for split in dataset.splits.values() for sticker in split]
    labels = np.array([sticker.label for sticker in stickers])
    emoji = np.array([sticker.image.name for sticker in stickers])
    images = np.stack([image_features(open_sticker(sticker.image)) for sticker in stickers])
    texts = text_features(stickers, len(dataset.class_names))
    text, image = out_of_fold(texts, labels, emoji), out_of_fold(images, labels, emoji)
    found = {
        "text": macro_f1(labels, text),
        "image": macro_f1(labels, image),
        "both, one vector": macro_f1(labels, out_of_fold(np.hstack([texts, images]), labels, emoji)),
    }
    for weight in IMAGE_WEIGHTS:
        product = np.log(text + 1e-9) + weight * np.log(image + 1e-9)
        found[f"both, image's log probabilities weighted {weight:g}"] = macro_f1(labels, product)
    content = {"stickers": len(stickers), "emoji": len(set(emoji)), "folds": FOLDS, "macro_f1": found}
    print(json.dumps(content, indent=1))
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
