"""`mghft-bench`: a bundle against the PyTorch reference, side by side."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mghft_export import __version__
from mghft_export.atomic import replacing_file
from mghft_export.bench.compare import WARM_UP_RUNS, Row, compare
from mghft_export.bench.subjects import Implementation, Part, Subject
from mghft_export.bundle import load_bundle
from mghft_export.cli.main import run
from mghft_export.errors import MGHFTError

IMPLEMENTATIONS: tuple[Implementation, ...] = ("as-released", "fused", "onnxruntime")
PARTS: tuple[Part, ...] = ("vision", "vision+fusion", "text", "whole")


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), default=Path("mghft-bundle"))
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1), help="Stickers at once.")
@click.option("--part", type=click.Choice(PARTS), default="vision+fusion", show_default=True)
@click.option("--only", type=click.Choice(IMPLEMENTATIONS), multiple=True, help="Leave the other rows out.")
@click.option(
    "--iterations", default=10, show_default=True, type=click.IntRange(1), help="Timed runs of each row."
)
@click.option(
    "--threads", default=os.cpu_count() or 1, show_default=True, type=click.IntRange(1), help="CPU threads."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also write the JSON to a file.")
@click.version_option(__version__, prog_name="mghft-bench")
def bench(
    bundle: Path,
    batch: int,
    part: Part,
    only: tuple[Implementation, ...],
    iterations: int,
    threads: int,
    as_json: bool,
    output: Path | None,
) -> None:
    """Compare BUNDLE with PyTorch on this machine's CPU: as released, fused, and in ONNX Runtime.

    Every row runs in a process of its own; rows take turns, so that drift hits all alike.
    """
    load_bundle(bundle)  # a bad bundle is one error, not one for each row
    subjects = [Subject(bundle, name, part, batch, threads) for name in only or IMPLEMENTATIONS]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=iterations + WARM_UP_RUNS)
        rows = compare(
            subjects, iterations=iterations, on_round=lambda done: progress.update(task, completed=done)
        )
    result = {"machine": machine(), "rows": [row_dict(row) for row in rows]}
    if output is not None:
        with replacing_file(output) as partial:
            partial.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(result, indent=1))
    else:
        Console().print(table(rows, part, batch))
    if all(row.failure for row in rows):
        raise MGHFTError("no row could be measured; the reasons are above")


def row_dict(row: Row) -> dict[str, object]:
    """A row as plain values, fit for JSON."""
    values = asdict(row)
    values["subject"].pop("bundle", None)
    return values


def machine() -> dict[str, object]:
    """What was measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def table(rows: list[Row], part: str, batch: int) -> Table:
    """A row an implementation; the reference is 1.0x."""
    result = Table(box=SIMPLE_HEAD, title=f"{part}, batch {batch}, float32, CPU")
    for heading in ("implementation", "median ms", "p95 ms", "stickers/s", "speed-up", "peak memory"):
        result.add_column(heading, justify="left" if heading == "implementation" else "right")
    for row in rows:
        assert isinstance(row.subject, Subject)
        name = row.subject.implementation
        if row.latency is None:
            result.add_row(name, f"not run: {row.failure}")
            continue
        times = row.latency
        gain = "1.0x" if row.speed_up is None else f"{row.speed_up.median:.1f}x"
        noisy = "~" if times.variation > 0.025 else ""  # it varies by more than 2.5 %
        result.add_row(
            name,
            f"{noisy}{times.median:.1f}",
            f"{times.p95:.1f}",
            f"{times.stickers_per_second:.1f}",
            gain,
            f"{row.peak_bytes / 1e9:.2f} GB",
        )
    return result


def main() -> None:
    """Entry point of `mghft-bench`."""
    sys.exit(run(bench))
