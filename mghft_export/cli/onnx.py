"""`mghft-export onnx`: export a checkpoint as a bundle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from mghft_export.api.export import export
from mghft_export.bundle import BRANCHES, PRECISIONS, Bundle, TensorEntry
from mghft_export.bundle.verifications import ReleasedVerification
from mghft_export.cli.dataset_options import Reading, dataset_options
from mghft_export.cli.image_options import background_option
from mghft_export.cli.model_options import model_options
from mghft_export.cli.output import echo_json, say, sentence
from mghft_export.cli.progress_bar import steps
from mghft_export.cli.quantization_options import QuantizationOptions
from mghft_export.cli.text_weights_options import text_weights_options
from mghft_export.cli.verification_tables import print_verifications
from mghft_export.errors import MGHFTError
from mghft_export.evaluation.verification.released import DEFAULT_TOLERANCE
from mghft_export.exporting.sources import PRESETS
from mghft_export.exporting.trace import DEFAULT_OPSET
from mghft_export.model.checkpoint_choice import TextChoice
from mghft_export.precision.calibration_run import DEFAULT_STICKERS, PrecisionOptions
from mghft_export.terminal import Terminal

DEFAULT_BUNDLE = Path("mghft-bundle")


def image_size(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Parse `448` or `256x384` (height x width)."""
    if value is None:
        return None
    sides = value.lower().split("x")
    if len(sides) not in (1, 2) or not all(side.isdigit() for side in sides):
        raise click.BadParameter("give a side, as 448, or height x width, as 256x384")
    return int(sides[0]), int(sides[-1])


def sticker_count(ctx: click.Context, parameter: click.Parameter, value: str) -> int | None:
    """Parse a number from 1, or `all`; `all` becomes None."""
    if value == "all":
        return None
    if not value.isdecimal() or int(value) == 0:
        raise click.BadParameter("give a number from 1, or all")
    return int(value)


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path), required=False)
@click.option(
    "--weights",
    type=click.Choice(["model", "ema"]),
    help="Weights to take if a checkpoint has both: as trained, or their moving average.  [default: model]",
)
@text_weights_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=DEFAULT_BUNDLE,
    show_default=True,
    help="Folder for the bundle.",
)
@click.option("--arch", type=click.Choice(list(PRESETS)), help="Architecture to build with --random-weights.")
@click.option(
    "--random-weights", is_flag=True, help="Random weights instead of a checkpoint, for latency work only."
)
@click.option("--seed", default=0, show_default=True, help="Seed of the random weights.")
@click.option(
    "--image-size",
    callback=image_size,
    help="Image side, 448, or height x width, 256x384; multiples of 32.  [default: as trained]",
)
@click.option(
    "--views",
    type=click.Choice(["joined", "separate"]),
    help="Whether a view reads the whole text or its own part.  [default: as trained]",
)
@click.option(
    "--pooling",
    type=click.Choice(["all", "masked"]),
    help="Text positions to average.  [default: as trained]",
)
@click.option(
    "--tokenizer", type=click.Path(path_type=Path), help="tokenizer.json, vocab.txt or a folder with one."
)
@background_option
@click.option(
    "--opset",
    default=DEFAULT_OPSET,
    show_default=True,
    type=click.IntRange(18, 23),
    help="ONNX operator set.",
)
@click.option("--single-file", is_flag=True, help="Also write mghft.onnx, all branches as one graph.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="ROOT",
    help="Data set to verify on.  [default: synthetic stickers]",
)
@dataset_options
@click.option(
    "--tolerance", default=DEFAULT_TOLERANCE, show_default=True, help="Largest allowed difference of a logit."
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(PRECISIONS),
    help="Precision to add to fp32, which a bundle always has; may be given several times. int8 adds both forms of "
    "INT8: int8 for CPUs and int8-fp16 for GPUs.",
)
@click.option(
    "--io",
    type=click.Choice(["fp32", "fp16"]),
    default="fp32",
    show_default=True,
    help="Input and output type of fp16 graphs.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Calibration set.  [default: the one in the package]",
)
@click.option(
    "--calibration-stickers",
    callback=sticker_count,
    default=str(DEFAULT_STICKERS),
    show_default=True,
    metavar="N|all",
    help="How many stickers of the calibration set to run, from the first.",
)
@model_options(QuantizationOptions, "quantization")
@click.option("--quantize-text", is_flag=True, help="Quantise the text branch, too; it costs accuracy.")
@click.option(
    "--no-verify",
    is_flag=True,
    help="Skip the comparisons: fp32 with PyTorch, other precisions with fp32.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def onnx(
    checkpoint: Path | None,
    text_choice: TextChoice,
    output: Path,
    arch: str | None,
    random_weights: bool,
    data: Path | None,
    reading: Reading,
    no_verify: bool,
    precisions: tuple[str, ...],
    io: str,
    calibration: Path | None,
    calibration_stickers: int | None,
    quantization: QuantizationOptions,
    quantize_text: bool,
    as_json: bool,
    **of_export: Any,
) -> None:
    """Export CHECKPOINT as a bundle: vision, text and fusion graphs, tokenizer and manifest.

    CHECKPOINT is a file, or hf://owner/name[@revision][/file] on the Hugging Face hub. The default is mghft-mini, the
    trained model in the package.

    The float32 graphs are compared with the released model in PyTorch before the bundle is put in place. Graphs of
    other precisions are compared with the float32 graphs afterwards.
    """
    console = Terminal(stderr=as_json)
    start = time.perf_counter()
    if random_weights and arch is None:
        raise MGHFTError("--random-weights needs --arch; for the paper's model: --arch paper")
    if arch is not None and not random_weights:
        raise MGHFTError("--arch needs --random-weights; a checkpoint knows its own architecture")
    recipe = quantization.quantization_recipe()
    if quantize_text and quantization.recipe is None:
        recipe = recipe.model_copy(update={"branches": BRANCHES})
    precision_options = PrecisionOptions(
        calibration=calibration, recipe=recipe, half_io=io == "fp16", stickers=calibration_stickers
    )
    reading.refuse_without(data, "--data ROOT")
    dataset = None if data is None or no_verify else reading.load(data)
    with steps("reading the checkpoint") as shown:
        done = export(
            checkpoint,
            output,
            precisions=precisions,
            random_weights=arch,
            text_weights=text_choice,
            data=dataset,
            verify=not no_verify,
            calibration=precision_options,
            on_step=shown.start,
            on_stickers=shown.stickers,
            **of_export,
        )
    bundle = done.bundle
    if as_json:
        echo_json(bundle.manifest.model_dump(mode="json"))
        return
    if done.note:
        say(console, done.note)
    if done.verification is not None:
        console.print(verification_table(done.verification))
    if done.precisions:
        print_verifications(done.precisions, console)
    console.print(bundle_table(bundle))
    say(console, "Bundle written to ", (str(output), "bold"), f" in {time.perf_counter() - start:.0f} s.")
    if not bundle.manifest.trained:
        say(
            console,
            ("UNTRAINED:", "bold yellow"),
            " the weights are random; measure speed with it, predictions are meaningless.",
        )
    words = f'mghft-export predict {output} STICKER.png --text "#The sticker\'s intention ..."'
    say(console, "Next: ", (words, "bold"))


def verification_table(verification: ReleasedVerification) -> Table:
    """A table that compares ONNX Runtime with PyTorch as released."""
    table = Table(
        box=SIMPLE_HEAD,
        title=sentence(f"ONNX Runtime against PyTorch as released, on {verification.stickers}"),
    )
    for heading in ("output", "batch", "max abs difference", "cosine", "selected tokens"):
        table.add_column(heading, justify="left" if heading == "output" else "right")
    for item in verification.differences:
        stage = item.output.split("_")[0]
        agreement = verification.selected_agreement.get(stage)
        table.add_row(
            item.output,
            str(item.batch),
            f"{item.max_abs:.1e}",
            f"{item.cosine:.6f}",
            f"{agreement:.2%}" if agreement is not None else "",
        )
    table.caption = (
        f"same class: {verification.top1_agreement:.0%}; tolerance of the logits: {verification.tolerance:g}; "
        "similar patches, as in a plain background, may swap places in the selection"
    )
    return table


def bundle_table(bundle: Bundle) -> Table:
    """A table of the bundle's graphs; the manifest has their shapes."""
    table = Table(box=SIMPLE_HEAD, title="graphs")
    for heading in ("file", "nodes", "size", "from", "to"):
        table.add_column(heading, justify="right" if heading in ("nodes", "size") else "left")
    for graphs in bundle.manifest.precisions.values():
        for graph in graphs.values():
            table.add_row(
                graph.file.path,
                str(graph.nodes),
                f"{graph.file.bytes / 1e6:.1f} MB",
                _names(graph.inputs),
                _names(graph.outputs),
            )
    return table


def _names(tensors: tuple[TensorEntry, ...]) -> str:
    """The names of up to two tensors, or the number of more."""
    return ", ".join(item.name for item in tensors) if len(tensors) < 3 else f"{len(tensors)} tensors"
