"""`mghft-bench`: a bundle against the PyTorch reference, side by side."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from mghft_export import __version__
from mghft_export.bench.compare import LIMIT, AnySubject, Row, compare
from mghft_export.bench.diff import Change, differences, machine_changes
from mghft_export.bench.inputs import distinct_views, sticker_batches, text_batches
from mghft_export.bench.notes import left_out_lines
from mghft_export.bench.provenance import machine, provenance
from mghft_export.bench.records import SCHEMA, comparison_dict, read_record, row_dict
from mghft_export.bench.rows import PROVIDERS, all_rows, obstacle
from mghft_export.bench.runner_rows import runner_version
from mghft_export.bench.subjects import Copy, Gemm, Implementation, Part, Subject
from mghft_export.bench.text_forms import as_csv, as_markdown
from mghft_export.bench.time_budget import COMPARISON_SECONDS, default_seconds, share
from mghft_export.bench.worker import TIMEOUT, RowFailed
from mghft_export.bundle import Bundle, load_bundle
from mghft_export.bundle.tokenizer import bundle_tokenizer
from mghft_export.cli.bench_progress import shown_progress
from mghft_export.cli.bench_tables import comparison_tables, diff_notes, diff_table, table
from mghft_export.cli.default_group import DefaultGroup
from mghft_export.cli.engine_option import trust_engine_option
from mghft_export.cli.main import run
from mghft_export.cli.warnings import warn_of_precision
from mghft_export.config import MGHFTConfig
from mghft_export.cpu_features import cpu_flags
from mghft_export.engines.gpu import NoGpu, find_gpu
from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.terminal import Terminal

__all__ = ["IMPLEMENTATIONS", "bench", "machine", "row_dict", "table"]

IMPLEMENTATIONS: tuple[Implementation, ...] = ("as-released", "fused", "onnxruntime", "openvino")
"""What runs without a GPU."""
KINDS: tuple[Implementation, ...] = (*IMPLEMENTATIONS, "engine", "mghft-run")
PARTS: tuple[Part, ...] = ("vision", "vision+fusion", "text", "whole", "pipeline")
DEFAULT_PARTS: tuple[Part, ...] = ("vision+fusion", "pipeline")
REGRESSED = 3
"""Exit status of `diff --fail-above`."""


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """Positive whole numbers with commas between them."""

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
    """A share such as 5%."""

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
    """Where a result goes beside the terminal."""
    for option in (
        click.option("--html", type=click.Path(path_type=Path), help="Write one page with charts."),
        click.option("--markdown", type=click.Path(path_type=Path), help="Write Markdown."),
        click.option("--csv", type=click.Path(path_type=Path), help="Write CSV, a line a row."),
    ):
        command = option(command)
    return command


def measuring_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What `run` and `sweep` share; as trtexec names them where it has them."""
    path = click.Path(path_type=Path)
    positive = click.IntRange(1)
    for option in (
        click.option("-o", "--output", type=path, help="Write the JSON to a file."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables."),
        click.option("--stickers", type=path, help="A calibration set.  [default: the one that comes along]"),
        click.option(
            "--memory", type=click.FloatRange(0, min_open=True), help="Memory in GB that a row may use."
        ),
        click.option(
            "--timeout", default=TIMEOUT, show_default=True, help="Seconds after which a silent row is ended."
        ),
        click.option(
            "--io-transfers/--no-io-transfers", default=True, help="Copy inputs and outputs in runs."
        ),
        click.option("--cuda-graph/--no-cuda-graph", default=True, help="Engines run as CUDA graphs."),
        click.option(
            "--threads", default=os.cpu_count() or 1, show_default=True, type=positive, help="CPU threads."
        ),
        click.option(
            "--budget",
            type=click.FloatRange(0, min_open=True),
            help=f"Seconds for everything; inf: no end.  [default: {COMPARISON_SECONDS:.0f} a part and batch]",
        ),
        click.option(
            "--all", "emulated", is_flag=True, help="Also rows whose number format this CPU only emulates."
        ),
        click.option(
            "--limit",
            default=LIMIT,
            show_default=True,
            help="Seconds of runs after which a row is not run in later rounds.",
        ),
        click.option(
            "--duration", default=3.0, show_default=True, help="Minimum seconds to measure each row."
        ),
        click.option(
            "--iterations",
            default=10,
            show_default=True,
            type=positive,
            help="Rounds; also the minimum runs of each row.",
        ),
        click.option(
            "--lengths", type=Numbers(), help="Text lengths in tokens, for --part text; each becomes a row."
        ),
        click.option(
            "--precision",
            "precisions",
            multiple=True,
            help="Precision of the bundle to measure; may be given several times.  [default: all]",
        ),
        click.option(
            "--provider",
            "providers",
            type=click.Choice(PROVIDERS),
            multiple=True,
            help="What runs the graphs; may be given several times.  [default: all]",
        ),
        trust_engine_option,
        click.option("--only", type=click.Choice(KINDS), multiple=True, help="Leave the other rows out."),
        click.option("--runner", type=path, help="The C++ program mghft-run: adds rows that it runs."),
        click.option(
            "--part",
            "parts",
            type=click.Choice(PARTS),
            multiple=True,
            default=DEFAULT_PARTS,
            show_default=True,
            help="Part of the model to measure; may be given several times.",
        ),
        click.argument("bundle", type=path, default=Path("mghft-bundle")),
    ):
        command = option(command)
    return output_options(command)


@bench.command("run")
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1), help="Stickers at once.")
@measuring_options
def run_command(batch: int, **options: Any) -> None:
    """Compare BUNDLE in every precision with PyTorch: as released, fused, ONNX Runtime, engines.

    Every row runs in a process of its own; rows take turns, so that drift hits all alike.
    """
    _measure((batch,), **options)


@bench.command()
@click.option("--batches", default=(1, 2, 4, 8, 16, 32), type=Numbers(), help="[default: 1,2,4,8,16,32]")
@measuring_options
def sweep(batches: tuple[int, ...], **options: Any) -> None:
    """The comparison at several batches."""
    _measure(batches, **options)


@bench.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--fail-above", type=Percent(), help="Exit with 3 if a row is slower by more, beyond the noise."
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
        if first["machine"]["processor"] != second["machine"]["processor"]:
            Terminal(stderr=True).print(Text("The results are of two machines.", "yellow"))
    failed = fail_above is not None and any(change.fails(fail_above) for change in changes)
    return REGRESSED if failed else 0


def _change_dict(change: Change) -> dict[str, Any]:
    verdicts = {"slower": change.slower, "faster": change.faster, "too_few": change.too_few}
    return {**vars(change), **verdicts}


@bench.command()
@click.argument("results", type=click.Path(path_type=Path), nargs=-1, required=True)
@output_options
def report(results: tuple[Path, ...], csv: Path | None, markdown: Path | None, html: Path | None) -> None:
    """Tables of results that were written with -o; with --csv, --markdown or --html, all of them in one file."""
    records = [read_record(path) for path in results]
    _write(records, csv, markdown, html)
    for record in records:
        Terminal().print(f"{record['machine']['cores']} cores of {record['machine']['processor']}")
        for comparison in record["comparisons"]:
            _show(comparison)
        _show_left_out(record)


@dataclass(frozen=True)
class _Plan:
    """One comparison to be made."""

    template: Subject
    rows: list[Subject]

    @property
    def title(self) -> str:
        return f"{self.template.part}, batch {self.template.batch}"


def _measure(
    batches: Sequence[int],
    *,
    bundle: Path,
    parts: tuple[Part, ...],
    only: tuple[Implementation, ...],
    runner: Path | None,
    providers: tuple[str, ...],
    precisions: tuple[str, ...],
    lengths: tuple[int, ...] | None,
    iterations: int,
    duration: float,
    threads: int,
    cuda_graph: bool,
    io_transfers: bool,
    timeout: float,
    limit: float,
    budget: float | None,
    emulated: bool,
    memory: float | None,
    stickers: Path | None,
    as_json: bool,
    output: Path | None,
    csv: Path | None,
    markdown: Path | None,
    html: Path | None,
) -> None:
    started = time.monotonic()
    if html is not None:
        _require_matplotlib()  # before the minutes of measuring, not after
    opened = load_bundle(bundle)  # a bad bundle is one error, not one for each row
    unknown = [name for name in precisions if name not in opened.manifest.precisions]
    if unknown:
        known = ", ".join(opened.manifest.precisions)
        raise MGHFTError(f"{bundle} has no precision {unknown[0]!r}; it has {known}")
    for name in precisions or opened.manifest.precisions:
        warn_of_precision(opened.manifest, name)
    if lengths and set(parts) != {"text"}:
        raise MGHFTError("--lengths is about texts alone; add --part text")
    if "mghft-run" in only and runner is None:
        raise MGHFTError("--only mghft-run needs the program; give it with --runner")
    load_calibration_set(stickers or default_calibration_set())
    config = MGHFTConfig.from_dict(opened.manifest.model)
    gpu = find_gpu()
    plans = []
    for part, batch, length in itertools.product(parts, batches, lengths or (None,)):
        template = Subject(
            bundle,
            "onnxruntime",
            part,
            batch,
            threads,
            length=length,
            stickers=stickers,
            cuda_graph=cuda_graph,
            io_transfers=io_transfers,
        )
        chosen = all_rows(
            template, opened, providers=providers or PROVIDERS, precisions=precisions, runner=runner
        )
        plans.append(_Plan(template, [item for item in chosen if not only or item.implementation in only]))
    if not all(plan.rows for plan in plans):
        raise MGHFTError("no row is left; give fewer of --only, --provider and --precision")
    if budget is None:
        budget = default_seconds([plan.rows for plan in plans], gpu=not isinstance(gpu, NoGpu))
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "machine": machine(),
        "provenance": provenance(opened, gpu),
        "flags": {
            "iterations": iterations,
            "duration": duration,
            "limit": limit,
            "budget": budget if math.isfinite(budget) else None,
            "all": emulated,
            "threads": threads,
            "cuda_graph": cuda_graph,
            "io_transfers": io_transfers,
            "stickers": str(stickers) if stickers is not None else "default",
            "runner": runner_version(runner) if runner is not None else None,
        },
        "comparisons": [],
    }
    # Who names a precision wants to see it.
    why_not = obstacle(
        config, gpu, flags=cpu_flags(), wanted=lambda row: emulated or row.precision in precisions
    )
    for number, plan in enumerate(plans):
        seconds = share(budget - (time.monotonic() - started), len(plans) - number)
        machine_rows: list[AnySubject] = [Gemm("onnxruntime", threads), Copy(threads)]
        rows = _compare(
            [*plan.rows, *machine_rows],
            title=plan.title,
            iterations=iterations,
            duration=duration,
            timeout=timeout,
            limit=limit,
            budget=seconds,
            memory=int(memory * 1e9) if memory is not None else None,
            why_not=why_not if seconds else _too_late(why_not),
        )
        comparison = comparison_dict(
            rows[: len(plan.rows)],
            rows[len(plan.rows) :],
            opened,
            plan.template.part,
            plan.template.batch,
            _tokens(plan.template, opened),
            rounds=iterations,
        )
        record["comparisons"].append(comparison)
        if output is not None:  # now: what is measured is kept, whatever ends the next one
            _write_text(output, json.dumps(record, indent=1) + "\n")
        if not as_json:
            _show(comparison)
    if not as_json:
        _show_left_out(record)
    _write([record], csv, markdown, html)
    if as_json:
        click.echo(json.dumps(record, indent=1))
    if all(row["failure"] for comparison in record["comparisons"] for row in comparison["rows"]):
        raise MGHFTError("no row could be measured; the reasons are above")


def _too_late(
    why_not: Callable[[AnySubject], RowFailed | None],
) -> Callable[[AnySubject], RowFailed | None]:
    """What keeps a row from running, and else that the budget is spent."""
    return lambda subject: why_not(subject) or RowFailed("the budget was spent before; --budget gives more")


def _compare(subjects: Sequence[AnySubject], *, title: str, iterations: int, **options: Any) -> list[Row]:
    with shown_progress(subjects, title=title, iterations=iterations) as (on_round, on_step):
        return compare(subjects, iterations=iterations, on_round=on_round, on_step=on_step, **options)


def _tokens(template: Subject, bundle: Bundle) -> int:
    """Of a text, as the rows have them."""
    views = distinct_views(bundle)
    batches = sticker_batches(replace(template, batch=min(template.batch, 8)))
    texts = text_batches(batches, bundle, bundle_tokenizer(bundle), views=views, length=template.length)
    return int(texts[0].input_ids.shape[1])


def _show(comparison: dict[str, Any]) -> None:
    for item in comparison_tables(comparison):
        Terminal().print(item)


def _show_left_out(record: dict[str, Any]) -> None:
    for line in left_out_lines(record["comparisons"]):
        Terminal().print(Text(line, "yellow"))


def _write(
    records: Sequence[dict[str, Any]], csv: Path | None, markdown: Path | None, html: Path | None
) -> None:
    if csv is not None:
        _write_text(csv, as_csv(records))
    if markdown is not None:
        _write_text(markdown, as_markdown(records))
    if html is not None:
        _require_matplotlib()
        from mghft_export.bench.page import as_html

        _write_text(html, as_html(records))


def _require_matplotlib() -> None:
    if importlib.util.find_spec("matplotlib") is None:
        raise MGHFTError("--html draws with matplotlib; install it with: pip install 'mghft-export[eval]'")


def _write_text(path: Path, text: str) -> None:
    with replacing_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def main() -> None:
    """Entry point of `mghft-bench`."""
    sys.exit(run(bench))
