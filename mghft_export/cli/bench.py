"""`mghft-bench`: compare a bundle with the PyTorch reference, side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from mghft_export import __version__
from mghft_export.bench.compare import Row, compare
from mghft_export.bench.diff import Change, differences, machine_changes
from mghft_export.bench.measure import Planned, check_settings, measure
from mghft_export.bench.notes import left_out_lines
from mghft_export.bench.records import ComparisonRecord, Record, read_record
from mghft_export.bench.settings import Settings
from mghft_export.bench.text_forms import as_csv, as_markdown
from mghft_export.bundle import load_bundle
from mghft_export.cli.bench_progress import shown_progress
from mghft_export.cli.bench_tables import comparison_tables, diff_notes, diff_table
from mghft_export.cli.default_group import DefaultGroup
from mghft_export.cli.engine_option import trust_engine_option
from mghft_export.cli.main import run
from mghft_export.cli.model_options import model_options
from mghft_export.cli.output import warn_of_precision
from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file
from mghft_export.optional_packages import optional_module
from mghft_export.terminal import Terminal

REGRESSED = 3
"""Exit status of `diff --fail-above` if a row became slower."""


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """Positive whole numbers, separated by commas."""

    name = "N,N,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
            self.fail(f"{value!r} is no list of positive numbers such as 1,8,32", param, ctx)
        return tuple(int(word) for word in words)


class Percent(click.ParamType):  # type: ignore[type-arg]
    """A percentage, for example 5%."""

    name = "PERCENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return float(str(value).removesuffix("%")) / 100
        except ValueError:
            self.fail(f"{value!r} is no percentage such as 5%", param, ctx)


@click.group(cls=DefaultGroup)
@click.version_option(__version__, prog_name="mghft-bench")
def bench() -> None:
    """Compare a bundle with PyTorch on this machine; `mghft-bench BUNDLE` is `mghft-bench run BUNDLE`."""


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for files that a result is also written to."""
    for option in (
        click.option("--html", type=click.Path(path_type=Path), help="Write one page with charts."),
        click.option("--markdown", type=click.Path(path_type=Path), help="Write Markdown."),
        click.option("--csv", type=click.Path(path_type=Path), help="Write CSV, one line per row."),
    ):
        command = option(command)
    return command


def measuring_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `run` and `sweep` share."""
    path = click.Path(path_type=Path)
    for decorate in (
        click.option("-o", "--output", type=path, help="Write the JSON to a file."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables."),
        click.option(
            "--lengths",
            type=Numbers(),
            default=(),
            help="Text lengths in tokens, for --part text; each is a comparison of its own.",
        ),
        trust_engine_option,
        model_options(Settings, "settings"),
        click.argument("bundle", type=path, default=Path("mghft-bundle")),
    ):
        command = decorate(command)
    return output_options(command)


@bench.command("run")
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1), help="Stickers at once.")
@measuring_options
def run_command(batch: int, **options: Any) -> None:
    """Compare BUNDLE in every precision with PyTorch: as released, fused, ONNX Runtime, engines.

    Every row runs in its own process. Rows take turns, so that drift affects all rows alike.
    """
    _measure((batch,), **options)


@bench.command()
@click.option(
    "--batches",
    default=(1, 2, 4, 8, 16, 32),
    type=Numbers(),
    help="Batches to compare.  [default: 1,2,4,8,16,32]",
)
@measuring_options
def sweep(batches: tuple[int, ...], **options: Any) -> None:
    """Run the comparison at several batch sizes."""
    _measure(batches, **options)


@bench.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--fail-above", type=Percent(), help="Exit with 3 if a row is slower by more than this and the noise."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def diff(old: Path, new: Path, fail_above: float | None, as_json: bool) -> int:
    """Compare the results OLD and NEW, row by row."""
    first, second = read_record(old), read_record(new)
    changes = differences(first, second)
    if not changes:
        raise MGHFTError(f"neither {old} nor {new} has a row; nothing can be compared")
    if as_json:
        click.echo(json.dumps([_change_dict(change) for change in changes], indent=1))
    else:
        Terminal().print(diff_table(changes))
        for note in diff_notes(changes, machine_changes(first, second)):
            Terminal().print(note)
        if first.machine.processor != second.machine.processor:
            Terminal(stderr=True).print(Text("The results come from two machines.", "yellow"))
    failed = fail_above is not None and any(change.fails(fail_above) for change in changes)
    return REGRESSED if failed else 0


def _change_dict(change: Change) -> dict[str, Any]:
    verdicts = {"slower": change.slower, "faster": change.faster, "too_few": change.too_few}
    return {**vars(change), **verdicts}


@bench.command()
@click.argument("results", type=click.Path(path_type=Path), nargs=-1, required=True)
@output_options
def report(results: tuple[Path, ...], csv: Path | None, markdown: Path | None, html: Path | None) -> None:
    """Show tables of results that were written with -o.

    With --csv, --markdown or --html, all results are also written to one file."""
    records = [read_record(path) for path in results]
    _write(records, csv, markdown, html)
    for record in records:
        Terminal().print(f"{record.machine.cores} cores of {record.machine.processor}")
        for comparison in record.comparisons:
            _show(comparison)
        _show_left_out(record)


def _measure(
    batches: Sequence[int],
    *,
    bundle: Path,
    lengths: tuple[int, ...],
    as_json: bool,
    output: Path | None,
    csv: Path | None,
    markdown: Path | None,
    html: Path | None,
    settings: Settings,
) -> None:
    if html is not None:
        optional_module("matplotlib", "--html")  # fail before the minutes of measuring, not after
    opened = load_bundle(bundle)  # report a bad bundle once, not for each row
    check_settings(opened, settings, lengths)
    for name in settings.precisions or opened.manifest.precisions:
        warn_of_precision(opened.manifest, name)
    for record in measure(opened, settings, _compare, batches=batches, lengths=lengths):
        if output is not None:  # write now, so that a later failure loses nothing
            _write_text(output, record.to_json())
        if not as_json:
            _show(record.comparisons[-1])
    if not as_json:
        _show_left_out(record)
    _write([record], csv, markdown, html)
    if as_json:
        click.echo(record.to_json(), nl=False)
    if all(row.failure for comparison in record.comparisons for row in comparison.rows):
        raise MGHFTError("no row could be measured; the reasons are above")


def _compare(planned: Planned, settings: Settings) -> list[Row]:
    """Measure a comparison, and show its progress."""
    with shown_progress(planned.subjects, title=planned.title, iterations=settings.iterations) as watchers:
        on_round, on_step = watchers
        return compare(
            planned.subjects,
            iterations=settings.iterations,
            duration=settings.duration,
            timeout=settings.timeout,
            limit=settings.max_duration,
            budget=planned.seconds,
            memory=None if settings.memory is None else int(settings.memory * 1e9),
            why_not=planned.why_not,
            on_round=on_round,
            on_step=on_step,
        )


def _show(comparison: ComparisonRecord) -> None:
    for item in comparison_tables(comparison):
        Terminal().print(item)


def _show_left_out(record: Record) -> None:
    for line in left_out_lines(record.comparisons):
        Terminal().print(Text(line, "yellow"))


def _write(records: Sequence[Record], csv: Path | None, markdown: Path | None, html: Path | None) -> None:
    if csv is not None:
        _write_text(csv, as_csv(records))
    if markdown is not None:
        _write_text(markdown, as_markdown(records))
    if html is not None:
        optional_module("matplotlib", "--html")
        from mghft_export.bench.page import as_html

        _write_text(html, as_html(records))


def _write_text(path: Path, text: str) -> None:
    with replacing_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def main() -> None:
    """Entry point of `mghft-bench`."""
    sys.exit(run(bench))
