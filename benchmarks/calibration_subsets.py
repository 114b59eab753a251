"""How accurate INT8 is with ranges from fewer calibration stickers: compares random parts of the set with all of it.

    python benchmarks/calibration_subsets.py BUNDLE STICKERS

It measures the default branches on the validation and the test split together; see benchmarks/int8_accuracy.py.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path

import numpy as np
from int8_accuracy import compared, read, run

from mghft_export.bundle import load_bundle
from mghft_export.bundle.quantization_recipe import Calibrator, QuantizationRecipe
from mghft_export.precision.calibration_run import Calibration, PrecisionOptions
from mghft_export.precision.int8 import to_int8
from mghft_export.runtime.onnx_session import OnnxSession
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.dataset import load_dataset

RESULTS = Path(__file__).parent / "results" / "calibration_subsets.json"
SIZES = (16, 32, 64, 96, 128)
CALIBRATORS: tuple[Calibrator, ...] = ("percentile", "max")


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("stickers", type=Path)
    parser.add_argument("--seeds", type=int, default=4, help="random parts of each size")
    arguments = parser.parse_args()
    bundle, dataset = load_bundle(arguments.bundle), load_dataset(arguments.stickers)
    pipeline = Pipeline(bundle)
    split = read(pipeline, (*dataset.split("val"), *dataset.split("test")))
    expected = run(pipeline, split)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        options = PrecisionOptions(stickers=None, cache=Path(folder))
        work = Calibration(bundle, options, lambda _: None)
        parts = [(len(work.stickers), 0)]
        parts += [(size, seed) for size in SIZES for seed in range(arguments.seeds)]
        for calibrator in CALIBRATORS:
            recipe = QuantizationRecipe(calibrator=calibrator)
            for size, seed in parts:
                chosen = random.Random(seed).sample(work.stickers, size)
                pipeline = Pipeline(bundle)
                for branch, ranges in work.ranges(recipe, chosen).items():
                    model = to_int8(work.smoothed(branch, recipe), ranges)
                    setattr(pipeline, branch, OnnxSession(model.SerializeToString()))
                found = compared(expected, run(pipeline, split), split.labels)
                rows.append({"calibrator": calibrator, "stickers": size, "seed": seed, **found})
                print(json.dumps(rows[-1]), flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    for calibrator in CALIBRATORS:
        for size in sorted({row["stickers"] for row in rows}):
            own = [row for row in rows if (row["calibrator"], row["stickers"]) == (calibrator, size)]
            kl, same = [row["mean_kl"] for row in own], min(row["agreement"] for row in own)
            print(
                f"{calibrator:10} {size:4} stickers: mean KL {np.mean(kl):.2e} ({min(kl):.2e} to {max(kl):.2e}), "
                f"same class at least {same:.2%}"
            )


if __name__ == "__main__":
    main()
