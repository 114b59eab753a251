"""Measures models that can do without texts on unseen emoji, an unseen style, and both.

    python benchmarks/without_text.py STICKERS --pretrained pretraining/last.safetensors

Finished runs are kept, so a stopped script can be started again, and two scripts with different --only share the work.
Each row is trained by the recipe `mini-without-text` with the change that its name says. A run's checkpoint is that of
its best epoch on the validation split; the protocols' stickers are used only once, at the end. A row is measured with
whole texts, with one view of each text (style, main role or gesture, drawn for each sticker) and without texts; each
time with the stickers' own images and with blank ones.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mini_protocols import PROTOCOLS, SEEDS, argument_parser, protocols, scores
from torch import Tensor

from mghft_export.config import MGHFTConfig
from mghft_export.files.cache_folder import cache_folder
from mghft_export.model.checkpoint import load_state, read_safetensors
from mghft_export.model.mghft import MGHFT
from mghft_export.model.text_weights import from_place
from mghft_export.stickers.dataset import Sticker, StickerSet, load_dataset
from mghft_export.stickers.text_tokens import default_tokenizer_path, load_tokenizer
from mghft_export.stickers.views import split_views
from mghft_export.training.data import StickerData
from mghft_export.training.loop import train
from mghft_export.training.pooled_texts import frozen_text_features
from mghft_export.training.recipe import Recipe, load_recipe
from mghft_export.training.step import TrainingModel

RESULTS = Path(__file__).parent / "results" / "without_text.json"
ROWS = {
    "fused": [],
    "text": ["inputs=text"],
}
ABLATIONS = {
    "scratch": ["pretrained=", "freeze_pyramid=false"],
    "no_blank_images": ["blank_image_weight=0.0"],
    "no_alignment": ["alignment_weight=0.0"],
}
BATCH = 64


def all_runs() -> dict[str, list[str]]:
    """Name of each run -> its overrides of the recipe, the most important first."""
    runs = {f"{row}-{seed}": [*changes, f"seed={seed}"] for seed in SEEDS for row, changes in ROWS.items()}
    return runs | {f"{name}-0": changes for name, changes in ABLATIONS.items()}


def features(texts: Sequence[str], config: MGHFTConfig) -> Tensor:
    """Texts -> pooled texts [n, 4, bert_dim], from the cache if they are in it."""
    tokenizer = load_tokenizer(default_tokenizer_path())
    return frozen_text_features(texts, tokenizer, config, from_place("minilm"), cache_folder("text"))


def one_view(stickers: Sequence[Sticker]) -> list[str]:
    """The style, main role or gesture of each sticker, drawn with a fixed seed."""
    chance = random.Random(0)
    return [split_views(sticker.text).views[chance.choice((1, 2, 3))] for sticker in stickers]


def measure(dataset: StickerSet, recipe: Recipe, checkpoint: Path) -> dict[str, Any]:
    """Accuracy and macro-F1 of a checkpoint by protocol, text and image, with 95 % intervals over emoji."""
    model = MGHFT(recipe.build_config(len(dataset.class_names)), text_model=False)
    load_state(model, {key: value.float() for key, value in read_safetensors(checkpoint).items()})
    network = TrainingModel(model.eval())
    found: dict[str, Any] = {}
    for name, stickers in protocols(dataset, recipe).items():
        whole = features([sticker.text for sticker in stickers], model.config)
        texts: dict[str, Tensor | None] = {
            "whole": whole,
            "one_view": features(one_view(stickers), model.config),
        }
        if model.no_text is not None and recipe.inputs == "both":
            texts["none"] = None
        data = StickerData(stickers, whole, model.config, recipe, augment=False)
        found[name] = {
            f"{text} {image}": scores(stickers, logits.argmax(dim=1).numpy(), len(dataset.class_names))
            for (text, image), logits in variants(network, data, texts).items()
        }
    variant_names = next(iter(found.values()))
    means = {
        variant: statistics.mean(item[variant]["macro_f1"] for item in found.values())
        for variant in variant_names
    }
    return {**found, "mean_macro_f1": means}


@torch.no_grad()
def variants(
    network: TrainingModel, data: StickerData, texts: dict[str, Tensor | None]
) -> dict[tuple[str, str], Tensor]:
    """Logits [n, classes] by text and image; the pyramid runs once on each image."""
    rows: dict[tuple[str, str], list[Tensor]] = {}
    for start in range(0, len(data), BATCH):
        chosen = range(start, min(start + BATCH, len(data)))
        images = torch.stack([data.evaluation_image(number) for number in chosen])
        if data.recipe.inputs == "text":  # these images are blank, as in training
            stages = {"blank": network.blank_stages(images[0], len(images))}
        else:
            stages = {"blank": network.blank_stages(data.blank, len(images))}
            stages["own"] = network.model.vision_model(images)
        for text, pooled in texts.items():
            given = None if pooled is None else pooled[start : start + BATCH]
            for image, tokens in stages.items():
                logits, _ = network.classify(tokens, network.model.text_features(given, len(images)))
                rows.setdefault((text, image), []).append(logits)
    return {key: torch.cat(parts) for key, parts in rows.items()}


def run(dataset: StickerSet, name: str, changes: list[str], work: Path) -> None:
    """Train one row, or resume its training, and measure it."""
    recipe, folder = load_recipe("mini-without-text", changes), work / name
    result = train(dataset, recipe, folder, resume=(folder / "state.pt").exists())
    measured = {
        "run": name,
        "changes": changes,
        "best_epoch": result.best_epoch,
        "validation": result.history[result.best_epoch - 1],
        "protocols": measure(dataset, recipe, result.best),
    }
    (folder / "protocols.json").write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(name, result.best_epoch, result.best_metric, measured["protocols"]["mean_macro_f1"], flush=True)


def summarise(work: Path) -> dict[str, Any]:
    """All finished runs, and the mean over seeds of each row."""
    paths = [work / name / "protocols.json" for name in all_runs()]
    done = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
    return {
        "recipe": load_recipe("mini-without-text").model_dump(mode="json"),
        "rows": {row: over_seeds(done, row) for row in [*ROWS, *ABLATIONS]},
        "runs": done,
    }


def over_seeds(done: list[dict[str, Any]], row: str) -> dict[str, Any]:
    """Mean macro-F1 of a row's runs, and the spread of their means over the protocols."""
    mine = [item["protocols"] for item in done if item["run"].rsplit("-", 1)[0] == row]
    variant_names = mine[0]["mean_macro_f1"] if mine else {}
    return {
        "seeds": len(mine),
        "macro_f1": {
            variant: {
                name: statistics.mean(item[name][variant]["macro_f1"] for item in mine) for name in PROTOCOLS
            }
            | {
                "mean": statistics.mean(item["mean_macro_f1"][variant] for item in mine),
                "spread": statistics.pstdev(item["mean_macro_f1"][variant] for item in mine),
            }
            for variant in variant_names
        },
    }


def main() -> None:
    """Parse, run, write."""
    parser = argument_parser(__doc__, Path("runs/without-text"))
    parser.add_argument(
        "--pretrained", type=Path, required=True, help="checkpoint of the recipe mini-pretraining"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = load_dataset(arguments.stickers)
    for name, changes in all_runs().items():
        chosen = arguments.only is None or name in arguments.only
        if chosen and not (arguments.work / name / "protocols.json").exists():
            started = [] if "pretrained=" in changes else [f'pretrained="{arguments.pretrained}"']
            others = [change for change in changes if change != "pretrained="]
            run(dataset, name, [*others, *started], arguments.work)
    RESULTS.write_text(json.dumps(summarise(arguments.work), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
