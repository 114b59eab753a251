"""`mghft-export sensitivity`: measure the quantisation of each layer, and choose layers to return to float."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from mghft_export.bundle import BRANCHES, PRECISIONS, Bundle, load_bundle
from mghft_export.bundle.quantization_recipe import write_recipe
from mghft_export.bundle.verifications import Budget
from mghft_export.cli.dataset_options import Reading, dataset_options
from mghft_export.cli.model_options import model_options
from mghft_export.cli.output import echo_json
from mghft_export.cli.progress_bar import progress_bar, steps
from mghft_export.cli.quantization_options import QuantizationOptions
from mghft_export.errors import MGHFTError
from mghft_export.evaluation.report import prepare_folder
from mghft_export.files.atomic import replacing_file
from mghft_export.optional_packages import optional_module
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.bundle_calibration_set import calibrated_set, given_set
from mghft_export.precision.calibration_run import Calibration, PrecisionOptions
from mghft_export.sensitivity.effects import groups_of, measure_groups, measure_layers
from mghft_export.sensitivity.layers import find_layers, text_size
from mghft_export.sensitivity.search import check_reachable, quantised_layers, search
from mghft_export.sensitivity.shares import int8_shares
from mghft_export.sensitivity.study_recipe import study_recipe
from mghft_export.sensitivity.study_report import Study, write_study
from mghft_export.sensitivity.study_stickers import StudyStickers, part_of_calibration_set, split_of_data
from mghft_export.sensitivity.study_tables import print_study
from mghft_export.sensitivity.whole_model import WholeModel
from mghft_export.stickers.dataset import StickerSet
from mghft_export.stickers.datasets.table import WHOLE
from mghft_export.terminal import Terminal

DEFAULT_STICKERS = 256


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="SET",
    help="Calibration set, for the ranges.  [default: the bundle's]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="ROOT",
    help="Data set to measure on.  [default: every fourth sticker of the calibration set; the others give the ranges]",
)
@dataset_options
@click.option("--split", help="Split of --data.  [default: val, or all where there are no splits]")
@click.option(
    "--branch",
    "branches",
    multiple=True,
    type=click.Choice(BRANCHES),
    help="Branch to quantise; may be given several times.  [default: vision and fusion, or the recipe's]",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=DEFAULT_STICKERS,
    show_default=True,
    help="Most stickers to measure on, evenly spaced.",
)
@model_options(QuantizationOptions, "quantization")
@click.option("--max-drop", type=click.FloatRange(0, 100), help="Points of macro-F1 that INT8 may cost.")
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 100),
    help="Percent of stickers that must keep float32's class.",
)
@click.option(
    "--recipe-out", type=click.Path(path_type=Path), metavar="FILE", help="Write the chosen recipe."
)
@click.option(
    "--apply",
    is_flag=True,
    help="Rebuild the bundle's INT8 graphs (int8 if it has none) with the chosen recipe.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER", help="Also write JSON and a plot."
)
def sensitivity(
    bundle: Path,
    calibration: Path | None,
    data: Path | None,
    reading: Reading,
    split: str | None,
    branches: tuple[str, ...],
    limit: int,
    quantization: QuantizationOptions,
    max_drop: float | None,
    min_agreement: float | None,
    recipe_out: Path | None,
    apply: bool,
    as_json: bool,
    output: Path | None,
) -> None:
    """Quantise one layer of BUNDLE at a time, and measure how the logits change, on held-out stickers.

    With --max-drop or --min-agreement, it also returns layers to float, the most sensitive first, until the budget
    holds.
    """
    opened = load_bundle(bundle)
    limits = {"min_agreement": min_agreement, "max_drop": max_drop}
    shares = {name: percent / 100 for name, percent in limits.items() if percent is not None}
    budget = Budget(**shares) if shares else None
    if budget is None and (recipe_out is not None or apply):
        raise MGHFTError("--recipe-out and --apply need a budget; add --min-agreement 99 or --max-drop 0.5")
    reading.refuse_without(data, "--data ROOT")
    if split is not None and data is None:
        raise MGHFTError("--split chooses stickers of a data set; add --data ROOT")
    given = quantization.quantization_recipe()
    if max_drop is not None and not opened.manifest.trained:
        raise MGHFTError(f"{bundle} has random weights, so its macro-F1 means nothing; use --min-agreement")
    if output is not None:
        optional_module("matplotlib.figure", "the evaluation")
        prepare_folder(output)
    if branches:
        wanted = tuple(branch for branch in BRANCHES if branch in branches)
        given = given.model_copy(update={"branches": wanted})
    if calibration is None:
        chosen = calibrated_set(opened.manifest, instead="choose one with --calibration SET")
    else:
        chosen = given_set(calibration)
    options = PrecisionOptions(calibration=chosen.root, recipe=given)
    dataset = None if data is None else reading.load(data)
    study = _study(opened, options, chosen.name, dataset, split, limit, budget)
    written = write_study(study, output) if output is not None else []
    if study.search is not None and recipe_out is not None:
        with replacing_file(recipe_out) as partial:
            write_recipe(partial, study.search.recipe)
        written.append(recipe_out)
    if study.search is not None and apply:
        written += _apply(opened, PrecisionOptions(calibration=chosen.root, recipe=study.search.recipe))
    if as_json:
        echo_json(study.to_dict())
        return
    console = Terminal()
    print_study(study, console)
    if written:
        console.print(Text(f"Written: {', '.join(map(str, written))}"), soft_wrap=True)


def _study(
    bundle: Bundle,
    options: PrecisionOptions,
    calibration: str,
    dataset: StickerSet | None,
    split: str | None,
    most: int,
    budget: Budget | None,
) -> Study:
    """Run all measurements, with progress bars on stderr.

    Args:
        calibration: description of the calibration set.
    """
    with progress_bar() as progress:
        task = progress.add_task("reading the calibration set", total=None)

        def start(text: str, total: int | None = None) -> None:
            nonlocal task
            progress.remove_task(task)  # a reset would keep the old total
            task = progress.add_task(text, total=total)

        def done(text: str) -> None:
            progress.update(task, advance=1, description=text)

        def count(stickers_done: int, stickers: int) -> None:
            progress.update(task, completed=stickers_done, total=stickers)

        work = Calibration(bundle, options, start, count)
        stickers = _stickers(work, calibration, dataset, split, most)
        recipe = study_recipe(work, stickers.ranging)
        start("running float32", len(stickers.measured))
        model = WholeModel(work, recipe, stickers.measured, lambda count: progress.advance(task, count))
        size = text_size(bundle, stickers.measured)
        branches = {branch: find_layers(bundle, branch, size) for branch in recipe.branches}
        layers = [layer for found in branches.values() for layer in found.layers]
        if budget is not None:
            start("checking the budget")
            check_reachable(model, layers, budget)
        start("layers", len(layers))
        effects = measure_layers(model, layers, done)
        quantised = quantised_layers(recipe, layers)
        start("groups", len(groups_of(quantised)))
        groups = measure_groups(model, quantised, done)
        found = None
        if budget is not None:
            start("searching")
            found = search(model, [item.layer for item in effects], budget, start)
    return Study(
        bundle=bundle.root.resolve().name,
        calibrated_on=calibration,
        measured_on=stickers.source,
        stickers=len(stickers.measured),
        recipe=recipe,
        layers=tuple(effects),
        groups=tuple(groups),
        shares=int8_shares(branches, found.recipe if found is not None else recipe),
        search=found,
    )


def _stickers(
    work: Calibration, calibration: str, dataset: StickerSet | None, split: str | None, most: int
) -> StudyStickers:
    if dataset is None:
        return part_of_calibration_set(work.set, most, calibration)
    chosen = split or (WHOLE if WHOLE in dataset.splits else "val")
    return split_of_data(dataset, chosen, work.set, work.bundle.manifest.class_names, most)


def _apply(bundle: Bundle, options: PrecisionOptions) -> list[Path]:
    """Rebuild the INT8 graphs, and return their folders."""
    precisions = [
        name for name in PRECISIONS if name.startswith("int8") and name in bundle.manifest.precisions
    ] or ["int8"]
    with steps("rebuilding the INT8 graphs") as shown:
        add_precisions(bundle, precisions, options, shown.start, shown.stickers)
    return [bundle.root / name for name in precisions]
