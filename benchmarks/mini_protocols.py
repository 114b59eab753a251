"""Measures image only, text only and fused models on unseen emoji, an unseen style, and both.

    python benchmarks/mini_protocols.py STICKERS

Finished runs are kept, so a stopped script can be started again, and two scripts with different --only share the work.
Each row is trained by the recipe `mini` with the change that its name says. A run's checkpoint is that of its best
epoch on the validation split; the protocols' stickers are used only once, at the end.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import f1_score

from mghft_export.evaluation.bootstrap import bootstrap_intervals
from mghft_export.files.cache_folder import cache_folder
from mghft_export.model.checkpoint import load_state, read_safetensors
from mghft_export.model.mghft import MGHFT
from mghft_export.model.text_weights import from_place
from mghft_export.stickers.dataset import Sticker, StickerSet, load_dataset
from mghft_export.stickers.text_tokens import default_tokenizer_path, load_tokenizer
from mghft_export.training.data import StickerData
from mghft_export.training.loop import train
from mghft_export.training.pooled_texts import frozen_text_features
from mghft_export.training.recipe import Recipe, load_recipe
from mghft_export.training.validation import predict_logits

RESULTS = Path(__file__).parent / "results" / "mini_protocols.json"
UNSEEN_STYLE = "openmoji"
SEPARATE = 'model.views="separate"'
ROWS = {
    "fused": [],
    "image": ["inputs=image"],
    "text": ["inputs=text"],
    "separate": [SEPARATE],
    "separate_text": [SEPARATE, "inputs=text"],
}
ABLATIONS = {
    "all_positions": ['model.pooling="all"'],
    "no_alignment": ["alignment_weight=0.0"],
    "separate_all_positions": [SEPARATE, 'model.pooling="all"'],
    "separate_no_alignment": [SEPARATE, "alignment_weight=0.0"],
}
PROTOCOLS = ("unseen_emoji", "unseen_style", "unseen_both")
SEEDS = (0, 1, 2)


def all_runs() -> dict[str, list[str]]:
    """Name of each run -> its overrides of the recipe, the most important first."""
    runs = {f"{row}-{seed}": [*changes, f"seed={seed}"] for seed in SEEDS for row, changes in ROWS.items()}
    return runs | {f"{name}-0": changes for name, changes in ABLATIONS.items()}


def protocols(dataset: StickerSet, recipe: Recipe) -> dict[str, list[Sticker]]:
    """The stickers of each protocol; none was seen in training."""
    test, seen = dataset.split("test"), dataset.split("train")
    return {
        "unseen_emoji": [sticker for sticker in test if sticker.topic in recipe.topics],
        "unseen_style": [sticker for sticker in seen if sticker.topic == UNSEEN_STYLE],
        "unseen_both": [sticker for sticker in test if sticker.topic == UNSEEN_STYLE],
    }


def measure(dataset: StickerSet, recipe: Recipe, checkpoint: Path) -> dict[str, Any]:
    """Accuracy and macro-F1 of a checkpoint in each protocol, with 95 % intervals over emoji."""
    weights = from_place(str(recipe.text_weights))
    model = MGHFT(recipe.build_config(len(dataset.class_names)), text_model=False)
    load_state(model, {key: value.float() for key, value in read_safetensors(checkpoint).items()})
    tokenizer = load_tokenizer(default_tokenizer_path())
    found: dict[str, Any] = {}
    for name, stickers in protocols(dataset, recipe).items():
        texts = [sticker.text for sticker in stickers]
        features = frozen_text_features(texts, tokenizer, model.config, weights, cache_folder("text"))
        if recipe.inputs == "image":
            features = torch.zeros_like(features)
        data = StickerData(stickers, features, model.config, recipe, augment=False)
        predicted = predict_logits(model.eval(), data, torch.device("cpu")).argmax(dim=1).numpy()
        found[name] = scores(stickers, predicted, len(dataset.class_names))
    found["mean_macro_f1"] = statistics.mean(found[name]["macro_f1"] for name in protocols(dataset, recipe))
    return found


def scores(stickers: Sequence[Sticker], predicted: npt.NDArray[np.int64], classes: int) -> dict[str, Any]:
    """Accuracy and macro-F1 of predicted classes [n], with 95 % intervals over emoji."""
    labels = np.array([sticker.label for sticker in stickers])
    groups = [sticker.image.name for sticker in stickers]
    intervals = bootstrap_intervals(labels, predicted, classes, groups=groups)
    assert intervals is not None
    return {
        "stickers": len(stickers),
        "accuracy": float((labels == predicted).mean()),
        "accuracy_interval": asdict(intervals.accuracy),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "macro_f1_interval": asdict(intervals.macro_f1),
    }


def run(dataset: StickerSet, name: str, changes: list[str], work: Path) -> None:
    """Train one row, or resume its training, and measure it."""
    recipe, folder = load_recipe("mini", changes), work / name
    result = train(dataset, recipe, folder, resume=(folder / "state.pt").exists())
    measured = {
        "run": name,
        "changes": changes,
        "best_epoch": result.best_epoch,
        "val_macro_f1": result.best_metric,
        **measure(dataset, recipe, result.best),
    }
    (folder / "protocols.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(name, {key: measured[key] for key in ("best_epoch", "val_macro_f1", "mean_macro_f1")}, flush=True)


def summarise(work: Path) -> dict[str, Any]:
    """All finished runs, and the mean over seeds of each row."""
    runs = [work / name / "protocols.json" for name in all_runs()]
    done = [json.loads(path.read_text(encoding="utf-8")) for path in runs if path.exists()]
    summary = {}
    for row in [*ROWS, *ABLATIONS]:
        mine = [item for item in done if item["run"].startswith(f"{row}-")]
        if mine:
            summary[row] = {
                "seeds": len(mine),
                **{
                    protocol: {
                        metric: statistics.mean(item[protocol][metric] for item in mine)
                        for metric in ("accuracy", "macro_f1")
                    }
                    for protocol in PROTOCOLS
                },
                "mean_macro_f1": statistics.mean(item["mean_macro_f1"] for item in mine),
                "spread_macro_f1": statistics.pstdev(item["mean_macro_f1"] for item in mine),
            }
    return {"recipe": load_recipe("mini").model_dump(mode="json"), "rows": summary, "runs": done}


def argument_parser(description: str | None, work: Path) -> argparse.ArgumentParser:
    """The options of a script of many runs; `work` is the default folder of its runs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("stickers", type=Path)
    parser.add_argument("--work", type=Path, default=work)
    parser.add_argument("--only", nargs="*", help="names of runs, for example fused-0 text-0")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def main() -> None:
    """Parse, run, write."""
    parser = argument_parser(__doc__, Path("runs/mini-protocols"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = load_dataset(arguments.stickers)
    for name, changes in all_runs().items():
        chosen = arguments.only is None or name in arguments.only
        if chosen and not (arguments.work / name / "protocols.json").exists():
            run(dataset, name, changes, arguments.work)
    RESULTS.write_text(json.dumps(summarise(arguments.work), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
