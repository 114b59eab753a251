"""How many stickers INT8 ranges need: compares ranges from the first stickers of a shuffled set with those from all.

    python benchmarks/calibration_stickers.py BUNDLE [--json FILE]

It passes once over the default calibration set and takes ranges from the histograms on the way.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np
import onnx

from mghft_export.bundle import load_bundle
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.precision.feeds import run_images
from mghft_export.precision.matrix_products import weight_products
from mghft_export.precision.observe import observe_histograms
from mghft_export.precision.ranges import range_of
from mghft_export.runtime.pipeline import Pipeline

LOOKS = (8, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160)
CALIBRATORS = (("max", 100.0), ("percentile", 99.9), ("percentile", 99.99), ("percentile", 99.999))


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="seed of the order")
    parser.add_argument("--json", type=Path, help="also write the ranges")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    stickers = list(load_calibration_set(default_calibration_set(), bundle.manifest.class_names).stickers)
    random.Random(arguments.seed).shuffle(stickers)
    pipeline = Pipeline(bundle)
    runs, histograms = {}, {}
    for branch in ("vision", "fusion"):
        model = onnx.load(bundle.graph(branch))
        names = list(dict.fromkeys(item.activation for item in weight_products(model.graph)))
        runs[branch], histograms[branch] = observe_histograms(model, names, branch)
    found: dict[int, dict[str, dict[str, dict[str, float]]]] = {}

    def look(done: int, total: int) -> None:
        if done in LOOKS or done == total:
            found[done] = {
                f"{calibrator} {percentile:g}": {
                    branch: {name: range_of(item, calibrator, percentile) for name, item in own.items()}
                    for branch, own in histograms.items()
                }
                for calibrator, percentile in CALIBRATORS
            }

    run_images(pipeline, stickers, runs["vision"], runs["fusion"], look)
    everything = found[len(stickers)]
    print("largest and mean relative difference from all stickers, in percent")
    for done, ranges in found.items():
        for how, branches in ranges.items():
            cells = [f"{done:4} {how:18}"]
            for branch, own in branches.items():
                moved = [abs(value / everything[how][branch][name] - 1) for name, value in own.items()]
                cells.append(f"{branch} {100 * max(moved):6.2f} {100 * float(np.mean(moved)):6.3f}")
            print("  ".join(cells), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
