"""`mghft-export interpret check`: check whether MGHFT can learn from the texts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from mghft_export.bundle import load_bundle
from mghft_export.cli.columns_option import comma_names
from mghft_export.cli.interpret_tables import influence_table, report_tables
from mghft_export.cli.output import echo_json, warn_of_precision
from mghft_export.cli.progress_bar import progress_bar
from mghft_export.interpretation.checking import TextReport, check_texts
from mghft_export.interpretation.influence import InfluenceReport, measure_influence
from mghft_export.interpretation.rules import Rules
from mghft_export.interpretation.texts_to_check import Texts, read_texts_to_check
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.terminal import Terminal

DEFAULT_STICKERS = 256


@click.command()
@click.argument("texts", type=click.Path(path_type=Path))
@click.option(
    "--bundle", type=click.Path(path_type=Path), help="Also measure how much each view moves this model."
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=DEFAULT_STICKERS,
    show_default=True,
    help="Most stickers to run through the bundle, evenly spaced.",
)
@click.option("--precision", default="fp32", show_default=True, help="Which of the bundle's precisions.")
@click.option("--allow-labels", is_flag=True, help="Allow texts to name classes.")
@click.option(
    "--labels", help="Names that texts must not use, separated by commas.  [default: the data set's classes]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def check(
    texts: Path,
    bundle: Path | None,
    limit: int,
    precision: str,
    allow_labels: bool,
    labels: str | None,
    as_json: bool,
) -> int:
    """Check TEXTS, a .jsonl file of texts or a data set's folder; the exit status is 1 if a text breaks a rule.

    A text breaks a rule if a view is missing, has fewer than 8 or more than 80 words, or names a class.
    """
    read = read_texts_to_check(texts)
    names = read.class_names
    if labels is not None:
        names = comma_names(labels)
    report = check_texts(read.rows, Rules(labels=() if allow_labels else names))
    console = Terminal()
    if as_json:
        influence = None
        try:
            if bundle is not None:
                influence, _ = _influence(read, bundle, precision, limit)
        finally:  # the report is printed even if the bundle cannot run
            echo_json(_as_json(report, influence))
        return int(not report.sound)
    for table in report_tables(report):
        console.print(table)
    if report.repeated_texts:
        console.print(Text(f"{report.repeated_texts} stickers share their whole text with another one."))
    if bundle is not None:
        influence, trained = _influence(read, bundle, precision, limit)
        console.print(influence_table(influence, trained=trained))
        if influence.left_out:
            console.print(Text(f"Left out: {len(influence.left_out)} (first: {influence.left_out[0]})"))
    return int(not report.sound)


def _influence(texts: Texts, root: Path, precision: str, most: int) -> tuple[InfluenceReport, bool]:
    bundle = load_bundle(root)
    pipeline = Pipeline(bundle, precision=precision)
    warn_of_precision(bundle.manifest, pipeline.precision)
    with progress_bar() as shown:
        task = shown.add_task("running without each view", total=min(most, len(texts.rows)))
        report = measure_influence(
            texts.rows, pipeline, most=most, on_batch=lambda done: shown.update(task, completed=done)
        )
    return report, bundle.manifest.trained


def _as_json(report: TextReport, influence: InfluenceReport | None) -> dict[str, object]:
    values = asdict(report)
    values["examples"] = [{**asdict(example), "image": str(example.image)} for example in report.examples]
    return {**values, "sound": report.sound, "influence": influence and asdict(influence)}
