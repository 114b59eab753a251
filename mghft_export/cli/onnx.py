"""`mghft-export onnx`: a checkpoint becomes a bundle."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from mghft_export.api.export import export
from mghft_export.bundle import BRANCHES, PRECISIONS, Bundle, TensorEntry
from mghft_export.bundle.quantization_recipe import Calibrator, QuantizationRecipe, read_recipe
from mghft_export.bundle.verifications import ReleasedVerification
from mghft_export.cli.dataset_options import Reading, dataset_options
from mghft_export.cli.image_options import background_option
from mghft_export.cli.json_output import echo_json
from mghft_export.cli.progress_bar import steps
from mghft_export.cli.sentences import say, sentence
from mghft_export.cli.text_weights_options import text_weights_options
from mghft_export.cli.verification_tables import print_verifications
from mghft_export.errors import MGHFTError
from mghft_export.evaluation.verification.released import DEFAULT_TOLERANCE
from mghft_export.exporting.sources import PRESETS
from mghft_export.exporting.trace import DEFAULT_OPSET
from mghft_export.model.checkpoint_choice import TextChoice
from mghft_export.model.contents import WeightsChoice
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
    """Parse a number from 1, or `all`, which is None."""
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
    help="Which weights of a checkpoint with both: as trained, or their moving average.  [default: model]",
)
@text_weights_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=DEFAULT_BUNDLE,
    show_default=True,
    help="Folder of the bundle.",
)
@click.option("--arch", type=click.Choice(list(PRESETS)), help="With --random-weights: what to build.")
@click.option("--random-weights", is_flag=True, help="No checkpoint: random weights, for latency work only.")
@click.option("--seed", default=0, show_default=True, help="Seed of the random weights.")
@click.option(
    "--image-size", callback=image_size, help="448 or 256x384; multiples of 32.  [default: as trained]"
)
@click.option(
    "--views",
    type=click.Choice(["joined", "separate"]),
    help="What each view's text is.  [default: as trained]",
)
@click.option(
    "--pooling", type=click.Choice(["all", "masked"]), help="Text positions averaged.  [default: as trained]"
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
    "--tolerance", default=DEFAULT_TOLERANCE, show_default=True, help="Largest difference of a logit."
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(PRECISIONS),
    help="Beside fp32, which a bundle always has; may be given several times. int8 gives both forms of INT8: int8 for "
    "CPUs and int8-fp16 for GPUs.",
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
    help="Calibration set.  [default: the one that comes along]",
)
@click.option(
    "--calibration-stickers",
    callback=sticker_count,
    default=str(DEFAULT_STICKERS),
    show_default=True,
    metavar="N|all",
    help="How many of that set are run, the first ones.",
)
@click.option(
    "--calibrator",
    type=click.Choice(["max", "entropy", "percentile"]),
    default="percentile",
    show_default=True,
    help="How INT8 ranges are found.",
)
@click.option(
    "--percentile",
    default=99.99,
    show_default=True,
    help="Share of values, in percent, that the percentile calibrator keeps.",
)
@click.option("--smooth", type=click.FloatRange(0, 1), help="SmoothQuant's alpha.  [default: off]")
@click.option("--quantize-text", is_flag=True, help="INT8 in the text branch too; it costs accuracy.")
@click.option(
    "--recipe", type=click.Path(path_type=Path), help="recipe.json of a quantised bundle, to replay."
)
@click.option(
    "--no-verify",
    is_flag=True,
    help="Skip the comparisons: fp32 with PyTorch, other precisions with fp32.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def onnx(
    checkpoint: Path | None,
    weights: WeightsChoice | None,
    text_choice: TextChoice,
    output: Path,
    arch: str | None,
    random_weights: bool,
    seed: int,
    image_size: tuple[int, int] | None,
    views: str | None,
    pooling: str | None,
    tokenizer: Path | None,
    background: str,
    opset: int,
    single_file: bool,
    data: Path | None,
    reading: Reading,
    tolerance: float,
    no_verify: bool,
    precisions: tuple[str, ...],
    io: str,
    calibration: Path | None,
    calibration_stickers: int | None,
    calibrator: Calibrator,
    percentile: float,
    smooth: float | None,
    quantize_text: bool,
    recipe: Path | None,
    as_json: bool,
) -> None:
    """Export CHECKPOINT as a bundle: vision, text and fusion graphs, tokenizer and manifest.

    CHECKPOINT is a file, or hf://owner/name[@revision][/file] on the Hugging Face hub. Without it: mghft-mini, the
    trained model that comes along.

    The graphs are compared with the released model in PyTorch before the bundle is put in place, those of other
    precisions with the float32 ones after it.
    """
    console = Terminal(stderr=as_json)
    start = time.perf_counter()
    if random_weights and arch is None:
        raise MGHFTError("--random-weights needs --arch; for the paper's model: --arch paper")
    if arch is not None and not random_weights:
        raise MGHFTError("--arch needs --random-weights; a checkpoint knows its own architecture")
    chosen = QuantizationRecipe(
        branches=BRANCHES if quantize_text else ("vision", "fusion"),
        calibrator=calibrator,
        percentile=percentile,
        smooth=smooth,
    )
    precision_options = PrecisionOptions(
        calibration=calibration,
        recipe=chosen if recipe is None else read_recipe(recipe),
        half_io=io == "fp16",
        stickers=calibration_stickers,
    )
    reading.refuse_without(data, "--data ROOT")
    dataset = None if data is None or no_verify else reading.load(data)
    with steps("reading the checkpoint") as shown:
        done = export(
            checkpoint,
            output,
            precisions=precisions,
            random_weights=arch,
            seed=seed,
            weights=weights,
            text_weights=text_choice,
            image_size=image_size,
            views=views,
            pooling=pooling,
            tokenizer=tokenizer,
            background=background,
            opset=opset,
            single_file=single_file,
            data=dataset,
            tolerance=tolerance,
            verify=not no_verify,
            calibration=precision_options,
            on_step=shown.start,
            on_stickers=shown.stickers,
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
    """PyTorch as released against ONNX Runtime."""
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
        "like patches, as of a plain background, may be selected for one another"
    )
    return table


def bundle_table(bundle: Bundle) -> Table:
    """The graphs of a bundle; shapes are in the manifest."""
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
    """Names of few tensors, the number of many."""
    return ", ".join(item.name for item in tensors) if len(tensors) < 3 else f"{len(tensors)} tensors"
