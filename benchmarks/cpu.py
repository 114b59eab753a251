"""The CPU comparison of the README: as released, fused and ONNX Runtime, side by side in one run.

    python benchmarks/cpu.py BUNDLE -o benchmarks/results/cpu.json

It also measures the machine's own float32 GEMM rate in the same rounds and counts the vision branch's operations from
its graph. The branch's efficiency is its share of that rate.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from mghft_export.bench.compare import WARM_UP_RUNS, Row, compare
from mghft_export.bench.provenance import machine
from mghft_export.bench.records import row_record
from mghft_export.bench.settings import IMPLEMENTATIONS
from mghft_export.bench.subjects import Gemm, Subject
from mghft_export.bundle import load_bundle
from mghft_export.cli.bench_tables import table
from mghft_export.cli.main import run
from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file
from mghft_export.graph.flops import count_flops

BATCHES = (1, 4)


class BenchmarkError(MGHFTError):
    """A row that the results need could not be measured."""


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("benchmarks/results/cpu.json"))
@click.option("--iterations", default=10, show_default=True)
def main(bundle: Path, output: Path, iterations: int) -> None:
    """Measure BUNDLE (the paper's size) and write the JSON that the README's numbers come from."""
    console = Console()
    threads = os.cpu_count() or 1
    opened = load_bundle(bundle)
    vision_flops = count_flops(opened.graph("vision"), {"batch": 1})
    results: dict[str, object] = {
        "machine": machine(),
        "versions": {name: version(name) for name in ("torch", "onnxruntime-gpu", "transformers")},
        "model": opened.manifest.model,
        "vision_gflops": vision_flops / 1e9,
    }
    comparisons = []
    with Progress(console=console, transient=True) as progress:
        for part, batch in [*(("vision+fusion", batch) for batch in BATCHES), ("text", 1)]:
            subjects = [Subject(bundle, name, part, batch, threads) for name in IMPLEMENTATIONS]
            others: list[Subject | Gemm] = []
            if part == "vision+fusion":
                others = [Subject(bundle, "onnxruntime", "vision", batch, threads)]
                others += [Gemm("torch", threads), Gemm("onnxruntime", threads)]
            task = progress.add_task(f"{part}, batch {batch}", total=iterations + WARM_UP_RUNS)
            rows = compare(
                [*subjects, *others],
                iterations=iterations,
                on_round=lambda done, task=task: progress.update(task, completed=done),
            )
            progress.console.print(table(rows[: len(subjects)], part, batch))
            comparison: dict[str, object] = {
                "part": part,
                "batch": batch,
                "rows": [row_record(row).model_dump(mode="json") for row in rows[: len(subjects)]],
            }
            if others:
                comparison["efficiency"] = efficiency(rows[len(subjects) :], vision_flops * batch)
            comparisons.append(comparison)
    results["comparisons"] = comparisons
    with replacing_file(output) as partial:
        partial.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    console.print(f"Written to [bold]{output}[/].")


def efficiency(rows: list[Row], flops: int) -> dict[str, float]:
    """The vision branch's rate in ONNX Runtime, and its share of the best GEMM rate of the same rounds."""
    gemms, vision = [], 0.0
    for row in rows:
        if row.latency is None:
            raise BenchmarkError(f"{row.subject} could not be measured: {row.failure}")
        work = row.subject.flops if isinstance(row.subject, Gemm) else flops
        rate = work / row.latency.median / 1e6  # GFLOP/s
        if isinstance(row.subject, Gemm):
            gemms.append(rate)
        else:
            vision = rate
    return {
        "vision_gflops_per_second": vision,
        "gemm_gflops_per_second": max(gemms),
        "share": vision / max(gemms),
    }


if __name__ == "__main__":
    raise SystemExit(run(main))
