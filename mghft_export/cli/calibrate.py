"""`mghft-export calibrate`: sample a calibration set, or check one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mghft_export.cli.columns_option import comma_names
from mghft_export.cli.dataset_options import Reading, dataset_options
from mghft_export.cli.output import echo_json, say, sentence
from mghft_export.errors import MGHFTError
from mghft_export.precision.calibration.calibration_set import CalibrationSet, load_calibration_set
from mghft_export.precision.calibration.held_out import check_not_held_out
from mghft_export.precision.calibration.sampling import Sample, sample_stickers
from mghft_export.precision.calibration.write_set import write_calibration_set
from mghft_export.terminal import Terminal

DEFAULT_SIZE = 512
MOST_TOPICS = 12
"""Most topics in the table; JSON has all."""


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="ROOT",
    help="Data set to sample; its train split is used.",
)
@click.option("--size", type=click.IntRange(1), help=f"Stickers to sample.  [default: {DEFAULT_SIZE}]")
@click.option("--seed", type=int, help="Seed of the sampling.  [default: 0]")
@click.option("--topics", help="Only stickers of these topics (packs, styles), separated by commas.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="SET",
    help="Folder for the new calibration set.",
)
@click.option(
    "--check",
    "existing",
    type=click.Path(path_type=Path),
    metavar="SET",
    help="Check this set instead; with --data, also check that it has no sticker of that data set's val or test.",
)
@dataset_options
@click.option("--skip-bad", is_flag=True, help="Leave out stickers that cannot be used, and say how many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def calibrate(
    data: Path | None,
    size: int | None,
    seed: int | None,
    topics: str | None,
    output: Path | None,
    existing: Path | None,
    reading: Reading,
    skip_bad: bool,
    as_json: bool,
) -> None:
    """Sample a calibration set from ROOT's train split, in proportion to its classes and topics; or check a set.

    Stickers that are also in val or test, under the same or another name, are left out.
    """
    sample = None

    reading.refuse_without(data, "--data ROOT")
    if existing is not None:
        if any(option is not None for option in (size, seed, topics, output)):
            raise MGHFTError("--check samples nothing; leave out --size, --seed, --topics and -o, or --check")
        calibration = load_calibration_set(existing)
        if data is not None:
            check_not_held_out(calibration, reading.load(data, skip_bad=skip_bad))
    elif data is None or output is None:
        raise MGHFTError(
            "pass --data ROOT and -o SET to sample a calibration set, or --check SET to check one"
        )
    else:
        wanted = comma_names(topics)
        with Terminal(stderr=True).status("drawing, and comparing with val and test"):
            dataset = reading.load(data, skip_bad=skip_bad)
            sample = sample_stickers(
                dataset, size or DEFAULT_SIZE, seed=seed or 0, topics=wanted, skip_bad=skip_bad
            )
            calibration = write_calibration_set(sample, output)
    if as_json:
        echo_json(_as_json(calibration, sample))
        return
    _print(calibration, sample, Terminal())
    if existing is not None:
        apart = f", and none of its stickers is in the val or test split of {data}" if data else ""
        say(Terminal(), f"The set is complete and unchanged{apart}.")


def _as_json(calibration: CalibrationSet, sample: Sample | None) -> dict[str, object]:
    values = {
        "set": str(calibration.root),
        "set_hash": calibration.set_hash,
        **calibration.manifest.model_dump(exclude={"schema_version", "set_hash", "stickers"}),
        "stickers": len(calibration.manifest.stickers),
        "bytes": calibration.bytes,
    }
    if sample is not None:
        values |= {"asked": sample.asked, "left_out": sample.left_out, "bad_rows": sample.dataset.bad_rows}
    return values


def _print(calibration: CalibrationSet, sample: Sample | None, console: Console) -> None:
    count = len(calibration.manifest.stickers)
    console.print(_count_table(calibration))
    console.print(
        f"{count} stickers, {calibration.bytes / 1e6:.1f} MB; sha256 {calibration.set_hash}", soft_wrap=True
    )
    if sample is None:
        return
    if sample.left_out or sample.dataset.bad_rows:
        first = f" (first: {sample.left_out[0]})" if sample.left_out else ""
        say(
            console,
            ("Left out: ", "yellow"),
            f"{sample.dataset.bad_rows} bad rows of the data set, "
            f"{len(sample.left_out)} stickers that could not be used{first}.",
        )
    if count < sample.asked:
        say(
            console,
            ("Fewer than asked: ", "yellow"),
            f"there are no more than {count} stickers; all were taken.",
        )
    say(console, "Calibration set written to ", (str(calibration.root), "bold"), ".")


def _count_table(calibration: CalibrationSet) -> Table:
    """One row per topic, the largest first; one column per class."""
    manifest = calibration.manifest
    cells = Counter((entry.topic, entry.label) for entry in manifest.stickers)
    topics = sorted(manifest.topic_counts, key=lambda topic: (-manifest.topic_counts[topic], topic))
    shown, others = topics[:MOST_TOPICS], topics[MOST_TOPICS:]
    table = Table(
        box=SIMPLE_HEAD,
        title=sentence(
            f"{calibration.root}, from {manifest.split} of {manifest.data_set}, seed {manifest.seed}"
        ),
        padding=(0, 0, 0, 1),
    )
    table.add_column("topic", overflow="fold")
    for name in manifest.class_names:
        table.add_column(Text(name), justify="right")
    table.add_column("sum", justify="right")
    for topic in shown:
        row = [cells[topic, name] for name in manifest.class_names]
        table.add_row(Text(topic or "(none)"), *map(str, row), str(sum(row)))
    if others:
        row = [sum(cells[topic, name] for topic in others) for name in manifest.class_names]
        table.add_row(f"{len(others)} others", *map(str, row), str(sum(row)))
    table.add_section()
    table.add_row("sum", *map(str, manifest.class_counts.values()), str(len(manifest.stickers)))
    return table
