"""Measures the accuracy of INT8 by calibrator, scale migration, and inputs that the fusion branch is calibrated with.

    python benchmarks/int8_accuracy.py BUNDLE STICKERS

It quantises the bundle's vision and fusion branches in each way; the text branch stays in float32. Choose a way by the
validation split; the test split is only reported. `--also` adds graphs of benchmarks/other_quantisers.py.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score

from mghft_export.bundle import load_bundle
from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.precision.calibration_run import Calibration, PrecisionOptions
from mghft_export.precision.int8 import to_int8
from mghft_export.runtime.onnx_session import OnnxSession
from mghft_export.runtime.pipeline import FloatArray, Pipeline, softmax
from mghft_export.stickers.dataset import Sticker, load_dataset
from mghft_export.stickers.image import open_sticker

RESULTS = Path(__file__).parent / "results" / "int8_accuracy.json"
BATCH = 16
WAYS: dict[str, dict[str, Any]] = {
    "max": {"calibrator": "max"},
    "entropy": {"calibrator": "entropy"},
    "percentile 99.9": {"percentile": 99.9},
    "percentile 99.99": {},
    "percentile 99.999": {"percentile": 99.999},
    "percentile 99.99, fusion calibrated on quantised tokens": {"fusion_inputs": "quantized"},
    "percentile 99.99, smooth 0.5": {"smooth": 0.5},
    "max, smooth 0.5": {"calibrator": "max", "smooth": 0.5},
    "percentile 99.99, vision alone": {"branches": ("vision",)},
    "percentile 99.99, fusion alone": {"branches": ("fusion",)},
}


@dataclass(frozen=True)
class Split:
    """Stickers as the model's inputs, and their labels."""

    pixels: FloatArray
    text_features: FloatArray
    labels: npt.NDArray[np.int64]


def read(pipeline: Pipeline, stickers: tuple[Sticker, ...]) -> Split:
    """Preprocess images and encode texts, once for all ways."""
    background = pipeline.inputs.image.background
    pixels = pipeline.preprocess([open_sticker(item.image, background=background) for item in stickers])
    texts = [item.text for item in stickers]
    features = [pipeline.encode_texts(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
    return Split(pixels, np.concatenate(features), np.array([item.label for item in stickers]))


def run(pipeline: Pipeline, split: Split) -> FloatArray:
    """Logits of a split."""
    rows = [
        pipeline.logits(split.pixels[start : start + BATCH], split.text_features[start : start + BATCH])
        for start in range(0, len(split.pixels), BATCH)
    ]
    return np.concatenate(rows)


def compared(expected: FloatArray, found: FloatArray, labels: npt.NDArray[np.int64]) -> dict[str, float]:
    """Agreement, divergence and change of the macro-F1."""
    p, q = softmax(expected.astype(np.float64)), softmax(found.astype(np.float64))
    before, after = (
        f1_score(labels, logits.argmax(1), average="macro", zero_division=0) for logits in (expected, found)
    )
    return {
        "agreement": float((expected.argmax(1) == found.argmax(1)).mean()),
        "mean_kl": float((p * np.log(p / q)).sum(axis=1).mean()),
        "macro_f1": float(after),
        "macro_f1_points": float(100 * (after - before)),
    }


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("stickers", type=Path)
    parser.add_argument("--calibration", type=Path)
    parser.add_argument("--also", nargs=2, action="append", default=[], metavar=("NAME", "FOLDER"))
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    pipeline, dataset = Pipeline(bundle), load_dataset(arguments.stickers)
    splits = {name: read(pipeline, dataset.split(name)) for name in ("val", "test")}
    expected = {name: run(pipeline, split) for name, split in splits.items()}
    rows: dict[str, Any] = {}

    def measure(way: str, quantised: Pipeline) -> None:
        rows[way] = {
            name: compared(expected[name], run(quantised, split), split.labels)
            for name, split in splits.items()
        }
        print(way, rows[way], flush=True)

    for way, choices in WAYS.items():
        recipe = QuantizationRecipe(**choices)
        work = Calibration(bundle, PrecisionOptions(arguments.calibration, recipe, stickers=None), print)
        recipe = work.recipe()
        quantised = Pipeline(bundle)
        for branch in recipe.branches:
            model = to_int8(work.smoothed(branch, recipe), recipe.ranges[branch], form="cpu")
            setattr(quantised, branch, OnnxSession(model.SerializeToString()))
        measure(way, quantised)
        calibration = work.set
    for way, folder in arguments.also:
        quantised = Pipeline(bundle)
        for branch in ("vision", "fusion"):
            setattr(quantised, branch, OnnxSession(Path(folder) / f"{branch}.onnx"))
        try:
            measure(way, quantised)
        except RuntimeError as error:  # a graph that ONNX Runtime cannot run is recorded as failed
            rows[way] = {"failed": str(error)}
    content = {
        "checkpoint": bundle.manifest.checkpoint.model_dump(),
        "calibration_set": {"sha256": calibration.set_hash, "stickers": len(calibration.stickers)},
        "stickers": {name: len(split.labels) for name, split in splits.items()},
        "ways": rows,
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
