"""`mghft-export train`: train a checkpoint from a data set and a recipe."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from mghft_export.cli.dataset_options import Reading, dataset_options
from mghft_export.cli.output import say
from mghft_export.cli.train_progress import Bar
from mghft_export.model.text_weights import find_text_weights
from mghft_export.terminal import Terminal
from mghft_export.training.epoch import Reporter
from mghft_export.training.loop import train as train_model
from mghft_export.training.recipe import Recipe, load_recipe
from mghft_export.training.setup import text_weights_of
from mghft_export.training.tensorboard import TensorBoard

NAMED = ("epochs", "batch_size", "base_lr", "seed", "precision", "text_weights", "imagenet")
"""Values of a recipe that have their own option."""


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--recipe",
    default="ser30k",
    show_default=True,
    help="A recipe file, or the name of one in the package: ser30k, mini, mini-pretraining, mini-without-text.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("run"),
    show_default=True,
    help="Folder for the run: checkpoints and log.",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe.")
@click.option("--epochs", type=int, help="Passes over all stickers.  [default: the recipe's]")
@click.option("--batch-size", type=int, help="Stickers per process and step.")
@click.option(
    "--lr", "base_lr", type=float, help="Learning rate for a global batch of 512; it is scaled in proportion."
)
@click.option("--seed", type=int, help="Seed of the weights and the order.  [default: the recipe's]")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "fp16"]),
    help="Arithmetic of the training.  [default: the recipe's]",
)
@click.option(
    "--text-weights", help="Text weights: minilm, a folder, a .safetensors file or hf://owner/name."
)
@click.option("--imagenet", help="PVT-small's ImageNet weights.")
@click.option("--tune-text", is_flag=True, help="Also train the text encoder.")
@click.option("--compile", "use_compile", is_flag=True, help="Use torch.compile.")
@click.option(
    "--tokenizer", type=click.Path(path_type=Path), help="tokenizer.json, vocab.txt or a folder with one."
)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for frozen text features.")
@dataset_options
@click.option("--skip-bad", is_flag=True, help="Leave bad rows out instead of refusing the data set.")
@click.option(
    "--from",
    "start",
    type=click.Path(path_type=Path),
    metavar="CHECKPOINT",
    help="Fine-tune this checkpoint.",
)
@click.option(
    "--qat",
    type=click.Path(path_type=Path),
    metavar="RECIPE",
    help="Fine-tune --from through the INT8 rounding of a bundle's int8/recipe.json. The default is 4 epochs with a "
    "fiftieth of the learning rate and no warm-up.",
)
@click.option("--resume", is_flag=True, help="Continue after the run's last epoch.")
def train(
    data: Path,
    recipe: str,
    output: Path,
    overrides: tuple[str, ...],
    tune_text: bool,
    use_compile: bool,
    tokenizer: Path | None,
    cache: Path | None,
    reading: Reading,
    skip_bad: bool,
    start: Path | None,
    qat: Path | None,
    resume: bool,
    **named: object,
) -> None:
    """Train MGHFT on the data set DATA, a folder or a table.

    Under torchrun, every process trains on a share of each batch.
    """
    console = Terminal()
    changes = [*overrides, *(f"{key}={named[key]}" for key in NAMED if named[key] is not None)]
    changes += ["tune_text=true"] if tune_text else []
    changes += ["compile=true"] if use_compile else []
    if qat is not None:
        changes = [*fine_tuning(load_recipe(recipe)), *changes]
    chosen = load_recipe(recipe, changes)
    if data.exists():  # fail before the data are read if text weights are missing
        weights = text_weights_of(chosen)
        if weights is not None and chosen.inputs != "image":
            find_text_weights(weights)
    dataset = reading.load(data, skip_bad=skip_bad, need_texts=chosen.inputs != "image")
    with contextlib.ExitStack() as stack:

        def reporters(folder: Path) -> list[Reporter]:
            return [TensorBoard(folder), stack.enter_context(Bar(console, chosen.epochs))]

        result = train_model(
            dataset,
            chosen,
            output,
            resume=resume,
            reporters=reporters,
            tokenizer=tokenizer,
            cache=cache,
            start=start,
            qat=qat,
        )
    if result.stopped_early:
        console.print(f"Stopped early: no better {chosen.metric} for {chosen.early_stop} epochs.")
    say(
        console,
        f"Best {chosen.metric} {result.best_metric:.3f} in epoch {result.best_epoch}: ",
        (str(result.best), "bold"),
    )
    if result.left_out:
        console.print(
            f"{len(result.left_out)} quantised products had no part in the training and keep their ranges "
            f"(first: {result.left_out[0]})."
        )
    replay = f" --precision int8 --recipe {result.best.with_suffix('.recipe.json')}" if qat else ""
    if not chosen.tune_text and chosen.text_weights not in (None, "minilm"):
        replay += f" --text-weights {chosen.text_weights}"
    say(console, "Next: ", (f"mghft-export onnx {result.best}{replay}", "bold"))


def fine_tuning(recipe: Recipe) -> list[str]:
    """The changes that quantisation-aware training makes to a recipe for training from scratch."""
    return ["epochs=4", f"base_lr={recipe.base_lr / 50}", f"min_lr={recipe.min_lr / 50}", "warmup_epochs=0"]
