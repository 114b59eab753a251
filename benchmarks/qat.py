"""Compares quantisation-aware training (QAT) with post-training quantisation (PTQ) on mghft-mini.

    python benchmarks/qat.py STICKERS

All rows start from mghft-mini and are measured by `mghft-export eval --precision int8`:

- `ptq`: mghft-mini, quantised with ranges of the calibration set.
- `float, then ptq`: fine-tuned first, without rounding. Only the rounding differs from the next row: epochs, learning
  rate, stickers and order are the same, and there is no dropout. So the gain from more training does not count for QAT.
- `qat`: fine-tuned with rounding, exported with the learned ranges.
- `qat, calibrated`: the same weights with ranges of the calibration set instead of the learned ones.
- `qat, ranges alone`: learned ranges for mghft-mini's own weights, which hardly change.
- `text too: ...`: the same with the text branch quantised and its encoder fine-tuned; here PTQ does lose accuracy. In
  its `ranges alone` the ranges learn faster, because those of a text branch have further to go. `max` is the other
  calibrator for PTQ.

A run's epoch is chosen on the validation split (QAT's with the rounded forward pass); the test split is only reported.
Finished runs and bundles are kept, so a stopped script can be started again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import onnx
import torch
from click.testing import CliRunner

from mghft_export.bundle import BRANCHES, Bundle, load_bundle
from mghft_export.bundle.quantization_recipe import QuantizationRecipe, read_recipe
from mghft_export.cli.eval import evaluate
from mghft_export.cli.train import fine_tuning
from mghft_export.exporting.export_bundle import ExportOptions, export_bundle
from mghft_export.exporting.sources import checkpoint_source
from mghft_export.files.hashing import sha256
from mghft_export.model.checkpoint_choice import CHECKPOINTS_WORD, default_checkpoint_path
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.precision.matrix_products import weight_products
from mghft_export.stickers.dataset import load_dataset
from mghft_export.training.loop import train
from mghft_export.training.recipe import load_recipe
from mghft_export.training.saving import STATE_FILE

RESULTS = Path(__file__).parent / "results" / "qat.json"
NO_DROPOUT = ["model.drop_path=0.0", "model.fusion_dropout=0.0"]
"""Dropout is off, because the form that quantisation-aware training runs has none."""

RANGES_ALONE = ["base_lr=1e-9", "min_lr=0.0", "epochs=2"]
"""A recipe cannot have a learning rate of 0; with this one the checkpoint's float16 weights stay the same."""


TEXT_TOO = ["tune_text=true", "epochs=2"]
TEXT_RANGES_ALONE = [*TEXT_TOO, *RANGES_ALONE, "range_lr=2e-2"]
ALL_BRANCHES = QuantizationRecipe(branches=BRANCHES)
ALL_BRANCHES_BY_MAX = QuantizationRecipe(branches=BRANCHES, calibrator="max")


def fine_tuned(data: Path, folder: Path, changes: list[str], qat: Path | None) -> dict[str, Any]:
    """Fine-tune mghft-mini, or resume it; return the epochs' validation metrics and the number of the best epoch."""
    recipe = load_recipe("mini", [*fine_tuning(load_recipe("mini")), *NO_DROPOUT, *changes])
    result = train(
        load_dataset(data),
        recipe,
        folder,
        resume=(folder / STATE_FILE).exists(),
        start=default_checkpoint_path(),
        qat=qat,
    )
    kept = ("epoch", "loss", "val_loss", "val_accuracy", "val_macro_f1")
    return {
        "best_epoch": result.best_epoch,
        "epochs": [{key: row[key] for key in kept} for row in result.history],
    }


def int8_bundle(checkpoint: Path, folder: Path, recipe: QuantizationRecipe) -> Bundle:
    """A checkpoint's bundle with INT8; if the recipe has ranges, they are used instead of a calibration."""
    if not (folder / "int8").exists():
        source, _ = checkpoint_source(checkpoint, None, {}, CHECKPOINTS_WORD)
        bundle, _ = export_bundle(source, folder, ExportOptions())
        add_precisions(bundle, ["int8"], PrecisionOptions(recipe=recipe, stickers=None), print)
    return load_bundle(folder)


def measured(bundle: Bundle, data: Path, split: str) -> dict[str, float]:
    """INT8 and FP32 metrics of a bundle on a split, measured by the users' command."""
    root = str(bundle.root)
    arguments = [root, str(data), "--split", split, "--precision", "int8", "--json"]
    arguments += ["--compare", root, "--compare-precision", "fp32"]
    done = CliRunner().invoke(evaluate, arguments, catch_exceptions=False)
    found = json.loads(done.stdout)
    other = found["compare"]
    return {
        "accuracy": found["metrics"]["accuracy"],
        "macro_f1": found["metrics"]["macro_f1"],
        "fp32_accuracy": other["metrics"]["accuracy"],
        "fp32_macro_f1": other["metrics"]["macro_f1"],
        "agreement": other["agreement"],
    }


def moved(before: QuantizationRecipe, after: QuantizationRecipe) -> dict[str, float]:
    """Learned ranges divided by those that they started from: the smallest, median and largest ratio."""
    ratios = sorted(
        value / before.ranges[branch][name]
        for branch, found in after.ranges.items()
        for name, value in found.items()
    )
    return {"smallest": ratios[0], "median": ratios[len(ratios) // 2], "largest": ratios[-1]}


def main() -> None:
    """Parse, run, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stickers", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/qat"))
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        help="KEY=VALUE of the recipe, for all fine-tunings",
    )
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data, work, plain = arguments.stickers, arguments.work, QuantizationRecipe()
    start = int8_bundle(default_checkpoint_path(), work / "ptq", plain)
    text_start = int8_bundle(default_checkpoint_path(), work / "text-ptq", ALL_BRANCHES)
    given, text_given = (bundle.root / "int8" / "recipe.json" for bundle in (start, text_start))
    # BERT's dropout cannot be overridden, so the text branch without rounding trains with a recipe of float layers.
    everything = {
        branch: tuple(item.name for item in weight_products(onnx.load(start.graph(branch)).graph))
        for branch in BRANCHES
    }
    nothing = QuantizationRecipe(branches=BRANCHES, float_layers=everything)
    unrounded = (
        int8_bundle(default_checkpoint_path(), work / "text-start", nothing).root / "int8" / "recipe.json"
    )
    text_changes = [*arguments.changes, *TEXT_TOO]
    runs = {
        "float": fine_tuned(data, work / "float-run", arguments.changes, None),
        "qat": fine_tuned(data, work / "qat-run", arguments.changes, given),
        "qat, ranges alone": fine_tuned(
            data, work / "ranges-run", [*arguments.changes, *RANGES_ALONE], given
        ),
        "text too: float": fine_tuned(data, work / "text-float-run", text_changes, unrounded),
        "text too: qat": fine_tuned(data, work / "text-qat-run", text_changes, text_given),
        "text too: qat, ranges alone": fine_tuned(
            data, work / "text-ranges-run", [*arguments.changes, *TEXT_RANGES_ALONE], text_given
        ),
    }
    best, learned = (work / "qat-run" / name for name in ("best.safetensors", "best.recipe.json"))
    alone, learned_alone = (work / "ranges-run" / name for name in ("best.safetensors", "best.recipe.json"))
    bundles = {
        "ptq": start,
        "float, then ptq": int8_bundle(work / "float-run" / "best.safetensors", work / "float", plain),
        "qat": int8_bundle(best, work / "qat", read_recipe(learned)),
        "qat, ranges alone": int8_bundle(alone, work / "ranges", read_recipe(learned_alone)),
        "qat, calibrated": int8_bundle(best, work / "qat-calibrated", plain),
        "text too: ptq": text_start,
        "text too: ptq, max": int8_bundle(default_checkpoint_path(), work / "text-max", ALL_BRANCHES_BY_MAX),
        "text too: float, then ptq, max": int8_bundle(
            work / "text-float-run" / "best.safetensors", work / "text-float-max", ALL_BRANCHES_BY_MAX
        ),
        "text too: float, then ptq": int8_bundle(
            work / "text-float-run" / "best.safetensors", work / "text-float", ALL_BRANCHES
        ),
        "text too: qat": int8_bundle(
            work / "text-qat-run" / "best.safetensors",
            work / "text-qat",
            read_recipe(work / "text-qat-run" / "best.recipe.json"),
        ),
        "text too: qat, ranges alone": int8_bundle(
            work / "text-ranges-run" / "best.safetensors",
            work / "text-ranges",
            read_recipe(work / "text-ranges-run" / "best.recipe.json"),
        ),
    }
    rows = {}
    for name, bundle in bundles.items():
        rows[name] = {split: measured(bundle, data, split) for split in ("val", "test")}
        print(name, rows[name], flush=True)
    content = {
        "checkpoint": sha256(default_checkpoint_path()),
        "calibrator": plain.calibrator,
        "percentile": plain.percentile,
        "changes": [*fine_tuning(load_recipe("mini")), *NO_DROPOUT, *arguments.changes],
        "runs": runs,
        "ranges_learned_by_calibrated": {
            "qat": moved(read_recipe(given), read_recipe(learned)),
            "qat, ranges alone": moved(read_recipe(given), read_recipe(learned_alone)),
            "text too: qat, ranges alone": moved(
                read_recipe(text_given), read_recipe(work / "text-ranges-run" / "best.recipe.json")
            ),
        },
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
