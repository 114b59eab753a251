"""`mghft-export eval`: measure a model on labelled stickers, or compare two models."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mghft_export.bundle import load_bundle
from mghft_export.cli.ablation import Selection, show_ablation
from mghft_export.cli.columns_option import comma_names
from mghft_export.cli.dataset_options import Reading, dataset_options
from mghft_export.cli.engine_option import refuse_with_engine, trust_engine_option
from mghft_export.cli.output import DRAWN, echo_json, say_note, warn_of_precision
from mghft_export.cli.progress_bar import progress_bar
from mghft_export.cli.provider_option import provider_option
from mghft_export.cli.text_weights_options import text_weights_options
from mghft_export.errors import MGHFTError
from mghft_export.evaluation.comparison import Comparison, compare
from mghft_export.evaluation.evaluated import evaluate_predictor
from mghft_export.evaluation.metrics import Metrics
from mghft_export.evaluation.predictors import Predictor, open_predictor
from mghft_export.evaluation.report import Evaluated, Evaluation, prepare_folder, write_report
from mghft_export.model.checkpoint_choice import TextChoice
from mghft_export.optional_packages import optional_module
from mghft_export.runtime.graph_session import PROVIDERS
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.datasets.readiness import small_set_note
from mghft_export.stickers.sticker_choice import (
    Resample,
    choose_split,
    choose_stickers,
    require_same_classes,
)
from mghft_export.terminal import Terminal

MOST_LISTED = 20
"""Most flips in the terminal; JSON and the page have all."""


@click.command("eval")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@dataset_options
@text_weights_options
@click.option("--split", help="The split to evaluate on.  [default: test, or all where there are no splits]")
@click.option("--topics", help="Only stickers of these topics (packs, styles), separated by commas.")
@click.option("--precision", default="fp32", show_default=True, help="Which of a bundle's precisions.")
@provider_option
@click.option("--engine", help="Run engines of a bundle: a folder, or its name in the bundle's engines/.")
@trust_engine_option
@click.option("--batch", type=click.IntRange(1), default=16, show_default=True, help="Stickers per batch.")
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    help="Tokenizer of a checkpoint with its own vocabulary: tokenizer.json or vocab.txt.",
)
@click.option("--compare", "other", type=click.Path(path_type=Path), help="A second bundle or checkpoint.")
@click.option(
    "--compare-precision",
    help="Precision of the second model.  [default: the first's; fp32 for a checkpoint]",
)
@click.option(
    "--compare-provider",
    type=click.Choice(PROVIDERS),
    help="Provider of the second model.  [default: the first's]",
)
@click.option("--compare-engine", help="Engines of the second model.")
@click.option(
    "--resample",
    type=click.Choice(["sticker", "stem", "topic"]),
    default="sticker",
    show_default=True,
    help="What the bootstrap draws. stem: draw files with the same name in several topics together.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--skip-bad", is_flag=True, help="Leave out stickers that cannot be used, and say how many.")
@click.option(
    "--ablate",
    "wants_ablation",
    is_flag=True,
    help="Measure what image and text contribute: replace each sticker's image (blank, noise, another) or text.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER", help="Also write files into FOLDER."
)
@click.pass_context
def evaluate(
    ctx: click.Context,
    model: Path,
    data: Path,
    reading: Reading,
    text_choice: TextChoice,
    split: str | None,
    topics: str | None,
    precision: str,
    provider: str,
    engine: str | None,
    batch: int,
    tokenizer: Path | None,
    other: Path | None,
    compare_precision: str | None,
    compare_provider: str | None,
    compare_engine: str | None,
    resample: str,
    seed: int,
    skip_bad: bool,
    wants_ablation: bool,
    as_json: bool,
    output: Path | None,
) -> None:
    """Evaluate MODEL, a bundle or a checkpoint, on the labelled stickers of DATA.

    With --compare, a second model runs on the same stickers, and the report adds the agreement, McNemar's test and the
    stickers that flip. With --ablate, the report shows how a bundle's classes change when the image or the text is
    replaced.
    """
    if wants_ablation and other is not None:
        raise MGHFTError(
            "--ablate takes one model; leave out --compare, or ablate the other model in another run"
        )
    if wants_ablation and model.is_file():
        raise MGHFTError(
            f"{model} is a checkpoint, and --ablate needs a bundle; make one with `mghft-export onnx`"
        )
    if other is None and (compare_precision or compare_provider or compare_engine):
        raise MGHFTError(
            "--compare-precision, --compare-provider and --compare-engine need a second model; add --compare"
        )
    refuse_with_engine(ctx, engine, "precision", "provider")
    refuse_with_engine(ctx, compare_engine, "compare_precision", "compare_provider")
    if tokenizer is not None and all(path.is_dir() for path in (model, other) if path is not None):
        raise MGHFTError("a bundle has its own tokenizer; leave out --tokenizer")
    optional_module("sklearn.metrics", "the evaluation")  # fail before the work, not after
    if output is not None:
        optional_module("matplotlib.figure", "the evaluation")
        prepare_folder(output)
    stickers = reading.load(data, skip_bad=skip_bad)
    split = choose_split(stickers, split)
    wanted = comma_names(topics)
    chosen = choose_stickers(stickers, split, wanted)
    if wants_ablation:
        show_ablation(
            model,
            stickers,
            chosen,
            Selection(split, wanted, cast(Resample, resample), seed),
            precision=precision,
            provider=provider,
            engine=engine,
            batch=batch,
            skip_bad=skip_bad,
            as_json=as_json,
            output=output,
        )
        return
    predictors = [
        open_predictor(
            model,
            precision=precision,
            provider=provider,
            tokenizer=tokenizer,
            engine=engine,
            text=text_choice,
        )
    ]
    if other is not None:
        # A checkpoint only has fp32, so comparing a bundle with one needs no option.
        other_precision = compare_precision or (precision if other.is_dir() else "fp32")
        other_provider = compare_provider or provider
        predictors.append(
            open_predictor(
                other,
                precision=other_precision,
                provider=other_provider,
                tokenizer=tokenizer,
                engine=compare_engine,
                text=text_choice,
            )
        )
    for predictor in predictors:
        require_same_classes(predictor.class_names, stickers.class_names, predictor.name)
    paths = [path for path in (model, other) if path is not None]
    for path, its_precision in dict.fromkeys(
        zip(paths, (item.precision for item in predictors), strict=True)
    ):
        if path.is_dir():
            warn_of_precision(load_bundle(path).manifest, its_precision)
    say_note(small_set_note(len(chosen)))
    console = Terminal(stderr=as_json)
    evaluated = _evaluate_all(
        predictors,
        chosen,
        stickers.class_names,
        batch=batch,
        skip_bad=skip_bad,
        resample=cast(Resample, resample),
        seed=seed,
    )
    comparison = None
    if other is not None:
        comparison = compare(evaluated[0].predictions, evaluated[1].predictions, stickers.class_names)
    evaluation = Evaluation(
        data,
        split,
        wanted,
        stickers.class_names,
        cast(Resample, resample),
        seed,
        stickers.bad_rows,
        evaluated[0],
        evaluated[1] if other is not None else None,
        comparison,
    )
    written = write_report(evaluation, output) if output is not None else []
    if as_json:
        echo_json(evaluation.to_dict())
        return
    print_evaluation(evaluation, console)
    skipped = len(evaluation.model.predictions.skipped)
    if skip_bad and (evaluation.bad_rows or skipped):
        console.print(
            f"Left out: {evaluation.bad_rows} bad rows of the data set, "
            f"{skipped} stickers that could not be used."
        )
    if written:
        console.print(Text(f"Written: {', '.join(map(str, written))}"), soft_wrap=True)


def _evaluate_all(
    predictors: list[Predictor],
    stickers: tuple[Sticker, ...],
    class_names: tuple[str, ...],
    *,
    batch: int,
    skip_bad: bool,
    resample: Resample,
    seed: int,
) -> list[Evaluated]:
    """Evaluate each model on all stickers, with a progress bar on stderr."""
    evaluated = []
    with progress_bar() as progress:
        for predictor in predictors:
            task = progress.add_task(predictor.name, total=len(stickers))
            evaluated.append(
                evaluate_predictor(
                    predictor,
                    stickers,
                    class_names,
                    batch=batch,
                    skip_bad=skip_bad,
                    resample=resample,
                    seed=seed,
                    on_batch=partial(progress.advance, task),
                )
            )
    return evaluated


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Print the tables of an evaluation."""
    models = [item for item in (evaluation.model, evaluation.other) if item is not None]
    console.print(Text(evaluation.data, "bold"))
    console.print(summary_table(models, evaluation.resample))
    console.print(class_table(evaluation.model.metrics))
    console.print(confusion_table(evaluation.model.metrics))
    if evaluation.comparison is not None:
        console.print(comparison_table(evaluation.comparison))
        if evaluation.comparison.flips:
            console.print(flip_table(evaluation.comparison))
    for item in models:
        if not item.predictor.trained:
            console.print(
                Text(
                    f"UNTRAINED: {item.predictor.name} has random weights, so its metrics mean nothing.",
                    "yellow",
                )
            )


def summary_table(models: list[Evaluated], resample: Resample) -> Table:
    """One row per measure, one column per model."""
    table = Table("")
    for item in models:
        table.add_column(Text(item.predictor.name), justify="right", overflow="fold")
    metrics = [item.metrics for item in models]
    bounds = [item.intervals for item in metrics]
    table.add_row("accuracy", *(f"{item.accuracy:.1%}" for item in metrics))
    if any(bounds):
        table.add_row(
            "  95 % interval",
            *(f"{item.accuracy.low:.1%} – {item.accuracy.high:.1%}" if item else "" for item in bounds),
        )
    table.add_row("macro F1", *(f"{item.macro_f1:.3f}" for item in metrics))
    if any(bounds):
        table.add_row(
            "  95 % interval",
            *(f"{item.macro_f1.low:.3f} – {item.macro_f1.high:.3f}" if item else "" for item in bounds),
        )
    table.add_row("weighted F1", *(f"{item.weighted_f1:.3f}" for item in metrics))
    table.add_row("calibration error", *(f"{item.ece:.3f}" for item in metrics))
    rates = [item.predictions.throughput for item in models]
    table.add_row("stickers/s", *(f"{item.with_decoding:.1f}" for item in rates))
    table.add_row("  without decoding", *(f"{item.without_decoding:.1f}" for item in rates))
    if bounds[0] is not None:
        table.caption = f"intervals: from a bootstrap of {bounds[0].groups} {DRAWN[resample]}"
    return table


def class_table(metrics: Metrics) -> Table:
    """One row per class."""
    table = Table("class", title="Classes")
    for heading in ("precision", "recall", "F1", "stickers"):
        table.add_column(heading, justify="right")
    for item in metrics.classes:
        cells = [f"{value:.3f}" for value in (item.precision, item.recall, item.f1)]
        table.add_row(Text(item.name), *cells, str(item.support))
    return table


def confusion_table(metrics: Metrics) -> Table:
    """One row per true class, one column per predicted class."""
    table = Table(
        "", title="Confusion: rows are true, columns predicted", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for item in metrics.classes:
        table.add_column(Text(item.name), justify="right")
    for row, (item, counts) in enumerate(zip(metrics.classes, metrics.confusion, strict=True)):
        cells = [
            Text(str(count), "bold" if column == row else "" if count else "dim")
            for column, count in enumerate(counts)
        ]
        table.add_row(Text(item.name), *cells)
    return table


def comparison_table(comparison: Comparison) -> Table:
    """Two models, sticker by sticker."""
    table = Table("", title="Comparison", show_header=False)
    table.add_column(justify="right")
    table.add_row("same prediction", f"{comparison.agreement:.1%}")
    table.add_row("flipped", f"{len(comparison.flips)} of {comparison.stickers}")
    table.add_row("only the first is right", str(comparison.only_first_right))
    table.add_row("only the other is right", str(comparison.only_other_right))
    table.add_row("McNemar's exact p", f"{comparison.mcnemar_p:.3g}")
    return table


def flip_table(comparison: Comparison) -> Table:
    """The first stickers that flipped."""
    table = Table("sticker", "label", "first", "other", title="Flips")
    for flip in comparison.flips[:MOST_LISTED]:
        guesses = [
            Text(f"{guess.name} {guess.confidence:.0%}", "green" if guess.right else "red")
            for guess in (flip.first, flip.other)
        ]
        name = (
            f"{flip.sticker.topic}/{flip.sticker.image.name}"
            if flip.sticker.topic
            else flip.sticker.image.name
        )
        table.add_row(Text(name), Text(flip.label), *guesses)
    if len(comparison.flips) > MOST_LISTED:
        table.caption = f"and {len(comparison.flips) - MOST_LISTED} more"
    return table
