"""Compares our rows for the vision branch (image -> 8 outputs) on a CPU with what a user would pick instead.

    pip install openvino nncf
    python benchmarks/peers/compare.py mini=BUNDLE paper=BUNDLE

The bundles need `int8` graphs. README.md beside this file says what is compared and how to read it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
from peer_agreement import STICKERS, agreement, load_outputs
from peer_preparation import forget_outputs, prepare, steps
from peer_rows import AHEAD, COMPILE, REFERENCE, RELEASED, WAYS, PeerRow, Places, places
from peer_table import cell_output
from peer_verdict import verdicts
from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mghft_export.bench.compare import LIMIT, WARM_UP_RUNS, Row, compare
from mghft_export.bench.provenance import installed_version, machine
from mghft_export.bundle import Bundle, load_bundle
from mghft_export.cli.main import run
from mghft_export.config import MGHFTConfig
from mghft_export.cpu_features import cpu_flags
from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file

RESULTS = Path(__file__).parents[1] / "results" / "peers.json"
SCHEMA = 1

ROUND_SECONDS = 0.2
"""Seconds of timed runs of a row in a round, with at least one run."""

TIMEOUT = 1800.0
"""Most seconds that a row may take to load: torch.compile compiles in this time, and all rows load at once."""

PACKAGES = ("numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "openvino", "nncf", "torch", "timm")
PYTORCH = (COMPILE, AHEAD, RELEASED)


class PeersError(MGHFTError):
    """The reference row did not run, so there is nothing to compare with."""


def bundles(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    """Parse `mini=FOLDER`."""
    pairs = [value.partition("=") for value in values]
    if not all(name and path for name, _, path in pairs):
        raise click.BadParameter("give each bundle a name, as mini=FOLDER")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise click.BadParameter("give each bundle a name of its own")
    return {name: Path(path) for name, _, path in pairs}


def batch_sizes(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """Parse `1,4,8`."""
    words = value.split(",")
    if not all(word.strip().isdigit() and int(word) > 0 for word in words):
        raise click.BadParameter("give batch sizes as 1,4,8")
    return tuple(dict.fromkeys(int(word) for word in words))


@click.command()
@click.argument("roots", metavar="NAME=BUNDLE...", nargs=-1, required=True, callback=bundles)
@click.option("--batches", default="1,4,8", show_default=True, callback=batch_sizes)
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(1), help="Turns of each row.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all cores]")
@click.option(
    "--limit",
    default=LIMIT,
    show_default=True,
    help="Seconds of timed runs after which a row has no more turns.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder for what is prepared, which a second run uses again.  [default: peers in this package's cache]",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
def main(
    roots: dict[str, Path],
    batches: tuple[int, ...],
    rounds: int,
    threads: int | None,
    limit: float,
    work: Path | None,
    output: Path,
) -> None:
    """Compare our rows on the CPU with other runtimes and quantisers, on each BUNDLE, and write the JSON."""
    threads = threads or os.cpu_count() or 1
    work = (work or user_cache_path("mghft-export") / "peers").resolve()
    opened = {name: load_bundle(root.resolve()) for name, root in roots.items()}
    console = Console(width=min(Console().width, 80) if sys.stdout.isatty() else 80)
    cells = []
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as progress:
        for name, bundle in opened.items():
            for cell in measure(
                name, bundle, places(bundle, work), batches, rounds, threads, limit, progress
            ):
                cells.append(cell)
                for part in cell_output(cell):
                    console.print(part)
                write(output, content(cells, opened, rounds, threads))
    console.print(f"Written to {output}", markup=False, highlight=False, soft_wrap=True)


def measure(
    name: str,
    bundle: Bundle,
    where: Places,
    batches: Sequence[int],
    rounds: int,
    threads: int,
    limit: float,
    progress: Progress,
) -> Iterator[dict[str, Any]]:
    """Prepare a bundle's rows, then yield the results of one batch size after another."""
    task = progress.add_task("", total=None)

    def on_step(text: str) -> None:
        progress.update(task, description=f"{name}: preparing {text}")

    def on_failure(text: str) -> None:
        progress.console.print(f"{name}, {text}", style="yellow", markup=False, highlight=False)

    reasons = prepare(steps(bundle, where, batches, threads), where, on_step, on_failure)
    forget_outputs(where)
    for batch in batches:
        progress.update(task, description=f"{name}, batch {batch}: loading")

        def on_round(done: int, batch: int = batch) -> None:
            turn = min(done - WARM_UP_RUNS + 1, rounds)
            progress.update(task, description=f"{name}, batch {batch}: round {turn} of {rounds}")

        subjects = [
            PeerRow(
                bundle.root,
                "peer",
                "vision",
                batch,
                threads,
                way=way.name,
                places=where,
                why_not=reasons.get((way.name, batch)),
            )
            for way in WAYS
        ]
        found = compare(
            subjects,
            iterations=rounds,
            duration=ROUND_SECONDS * rounds,
            limit=limit,
            timeout=TIMEOUT,
            on_round=on_round,
        )
        if found[0].failure is not None:
            raise PeersError(
                f"{name}, batch {batch}: {REFERENCE}, which all is compared with, did not run: {found[0].failure}"
            )
        for row in found:
            if row.failure is not None and reasons.get((row.subject.name, batch)) is None:
                on_failure(f"batch {batch}, {row.subject.name}: {row.said or row.failure}")
        rows = [row_values(row, bundle, where, batch) for row in found]
        yield {"model": name, "batch": batch, "rows": rows, "verdicts": verdicts(rows)}
    progress.update(task, visible=False)


def row_values(row: Row, bundle: Bundle, where: Places, batch: int) -> dict[str, Any]:
    """A measured row as plain values."""
    way = next(item for item in WAYS if item.name == row.subject.name)
    values = {
        **asdict(way),
        "failure": row.failure,
        "median_ms": row.latency and row.latency.median,
        "round_ms": list(row.round_ms),
        "speed_up": row.speed_up and asdict(row.speed_up),
        "peak_bytes": row.peak_bytes,
        "alone": row.alone,
        "note": None,
        "agreement": None,
        "no_agreement": None,
    }
    if row.failure is not None:
        return values
    values["note"] = json.loads(where.note(way.name, batch).read_text(encoding="utf-8"))
    if way.name in PYTORCH:
        values["no_agreement"] = weights_reason(where)
    if values["no_agreement"] is None:
        config = MGHFTConfig.from_dict(bundle.manifest.model)
        heads = {f"stage{stage + 1}": config.heads[stage] for stage in config.selecting_stages}
        outputs = [load_outputs(where.outputs(one, batch)) for one in (way.name, REFERENCE)]
        values["agreement"] = asdict(agreement(*outputs, heads))
    return values


def weights_reason(where: Places) -> str | None:
    """Why PyTorch's outputs cannot be compared with the bundle's."""
    reason: str | None = json.loads(where.weights_remark.read_text(encoding="utf-8"))
    return reason


def content(
    cells: Sequence[dict[str, Any]], opened: dict[str, Bundle], rounds: int, threads: int
) -> dict[str, Any]:
    """The content of the results file; see README.md."""
    return {
        "schema": SCHEMA,
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "cpu_flags": sorted(cpu_flags()),
        "versions": {name: found for name in PACKAGES if (found := installed_version(name)) is not None},
        "threads": threads,
        "rounds": rounds,
        "part": "vision",
        "compared_on": f"{STICKERS} stickers of the default calibration set",
        "models": {
            name: {
                "checkpoint": bundle.manifest.checkpoint.model_dump(),
                "image": [bundle.manifest.image.height, bundle.manifest.image.width],
                "graphs": {
                    precision: graphs["vision"].file.sha256
                    for precision, graphs in bundle.manifest.precisions.items()
                },
            }
            for name, bundle in opened.items()
        },
        "cells": list(cells),
    }


def write(path: Path, values: dict[str, Any]) -> None:
    """Write values as JSON."""
    with replacing_file(path) as partial:
        partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run(main))
