"""Table and JSON of `mghft-export eval --ablate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from mghft_export.bundle import load_bundle
from mghft_export.cli.output import DRAWN, json_text, say, warn_of_precision
from mghft_export.cli.progress_bar import progress_bar
from mghft_export.evaluation.ablation import BLANK, MEAN, OWN, Ablation, AblationRow, ablate
from mghft_export.evaluation.bootstrap import Interval
from mghft_export.evaluation.relevance import can_judge, cannot_judge
from mghft_export.evaluation.verification.accuracy_budget import INT8
from mghft_export.files.atomic import replacing_file
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.dataset import Sticker, StickerSet
from mghft_export.stickers.sticker_choice import Resample, require_same_classes
from mghft_export.terminal import Terminal

ABLATION = "ablation.json"


@dataclass(frozen=True)
class Selection:
    """Which stickers of a data set are used, and what the bootstrap draws from them."""

    split: str
    topics: tuple[str, ...]
    resample: Resample
    seed: int


def show_ablation(
    model: Path,
    data: StickerSet,
    stickers: tuple[Sticker, ...],
    selection: Selection,
    *,
    precision: str,
    provider: str,
    engine: str | None,
    batch: int,
    skip_bad: bool,
    as_json: bool,
    output: Path | None,
) -> None:
    """Run an ablation and print it.

    Args:
        output: an existing folder for the JSON.

    Raises:
        MGHFTError: the bundle, the stickers or the provider cannot be used.
    """
    bundle = load_bundle(model)
    pipeline = Pipeline(bundle, precision=precision, provider=provider, engine=engine)
    require_same_classes(bundle.manifest.class_names, data.class_names)
    warn_of_precision(bundle.manifest, pipeline.precision)
    with progress_bar() as progress:
        task = progress.add_task("running stickers", total=len(stickers))
        found = ablate(
            pipeline,
            stickers,
            batch=batch,
            skip_bad=skip_bad,
            resample=selection.resample,
            seed=selection.seed,
            on_batch=lambda done: progress.advance(task, done),
        )
    runs_in = Path(engine).name if engine is not None else f"{precision}, {provider}"
    name, trained = f"{model.resolve().name} ({runs_in})", bundle.manifest.trained
    values = {
        "data": {
            "root": str(data.root),
            "split": selection.split,
            "topics": list(selection.topics),
            "classes": list(data.class_names),
            "stickers": len(found.stickers),
            "bad_rows": data.bad_rows,
            "skipped": list(found.skipped),
        },
        "bootstrap": {"resample": selection.resample, "seed": selection.seed},
        "model": {"name": name, "trained": trained},
        **ablation_dict(found),
    }
    text = json_text(values)
    if output is not None:
        with replacing_file(output / ABLATION) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
    if as_json:
        click.echo(text)
        return
    console = Terminal()
    topics = f", {', '.join(selection.topics)}" if selection.topics else ""
    where = f"{data.root.resolve().name}, {selection.split} split{topics}"
    say(console, (f"{name} on {where}: {len(found.stickers)} stickers", "bold"))
    console.print(ablation_table(found, selection.resample))
    for branch, same_class in same_classes(found).items():
        if not can_judge(same_class, INT8.min_agreement):
            say(console, (f"{cannot_judge(branch, same_class)}.", "yellow"))
    if not trained:
        say(console, (f"UNTRAINED: {name} has random weights, so its metrics mean nothing.", "yellow"))
    if data.bad_rows or found.skipped:
        console.print(
            f"Left out: {data.bad_rows} bad rows of the data set, "
            f"{len(found.skipped)} stickers that could not be used."
        )
    if output is not None:
        say(console, f"Written: {output / ABLATION}")


def ablation_table(ablation: Ablation, resample: Resample) -> Table:
    """One row per pair of image and text. It fits 80 columns."""
    table = Table("image", "text", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("accuracy", "macro F1", "same class"):
        table.add_column(heading, justify="right")
    whole = len(ablation.stickers)
    for row in ablation.rows:
        own = (row.image, row.text) == (OWN, OWN)
        few = "" if row.stickers == whole else f" ({row.stickers})"
        bounds = row.intervals
        table.add_row(
            row.image,
            row.text + few,
            _measure(row.accuracy, None if bounds is None else bounds.accuracy),
            _measure(row.macro_f1, None if bounds is None else bounds.macro_f1),
            "" if own else f"{row.same_class:.1%}",
        )
    first = ablation.rows[0].intervals
    notes = ["same class: as with the sticker's own image and text; another's: from another sticker"]
    if first is not None:
        notes.append(f"in brackets: 95 % intervals, from a bootstrap of {first.groups} {DRAWN[resample]}")
    if any(row.stickers < whole for row in ablation.rows):
        notes.append("a number behind a view: how many stickers have it")
    table.caption = "\n".join(notes)
    return table


def ablation_dict(ablation: Ablation) -> dict[str, Any]:
    """The ablation as plain values for JSON."""
    return {
        "rows": [asdict(row) for row in ablation.rows],
        "judges": {
            branch: can_judge(same_class, INT8.min_agreement)
            for branch, same_class in same_classes(ablation).items()
        },
    }


def same_classes(ablation: Ablation) -> Mapping[str, float]:
    """For each branch, the share of stickers that keep their class when the branch says nothing."""
    rows: dict[str, AblationRow] = {"vision": ablation.row(BLANK, OWN), "text": ablation.row(OWN, MEAN)}
    return {branch: row.same_class for branch, row in rows.items()}


def _measure(value: float, interval: Interval | None) -> str:
    return f"{value:.3f}" + ("" if interval is None else f" ({interval.low:.2f}-{interval.high:.2f})")
