"""The vision branch in INT8 against float32, in ONNX Runtime on this machine's CPU, side by side in one run.

    python benchmarks/int8_speed.py BUNDLE

The bundle must have `int8` graphs: mghft-export onnx --arch paper --random-weights --precision int8 -o BUNDLE
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from mghft_export.bench.compare import WARM_UP_RUNS, Row, compare
from mghft_export.bench.subjects import Subject
from mghft_export.bundle import load_bundle
from mghft_export.cli.bench import machine

RESULTS = Path(__file__).parent / "results" / "int8_speed.json"
BATCHES = (1, 8)
PRECISIONS = ("fp32", "int8")


def row(measured: Row) -> dict[str, object]:
    """Plain values."""
    if measured.failure is not None:
        raise SystemExit(f"a row could not be measured: {measured.failure}")
    values = asdict(measured)
    values["subject"].pop("bundle")
    return values


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    bundle, console = load_bundle(arguments.bundle), Console()
    comparisons = []
    with Progress(console=console, transient=True) as progress:
        for batch in BATCHES:
            subjects = [
                Subject(arguments.bundle, "onnxruntime", "vision", batch, arguments.threads, precision)
                for precision in PRECISIONS
            ]
            task = progress.add_task(f"batch {batch}", total=WARM_UP_RUNS + arguments.iterations)
            rows = compare(
                subjects,
                iterations=arguments.iterations,
                on_round=lambda done, task=task: progress.update(task, completed=done),  # type: ignore[misc]
            )
            comparisons.append({"batch": batch, "rows": [row(item) for item in rows]})
            gain = rows[1].speed_up
            assert gain is not None
            console.print(f"batch {batch}: {gain.median:.2f}x ({gain.low:.2f} to {gain.high:.2f})")
    content = {
        "machine": machine(),
        "versions": {"onnxruntime-gpu": version("onnxruntime-gpu")},
        "model": bundle.manifest.model,
        "bytes": {name: bundle.manifest.precisions[name]["vision"].file.bytes for name in PRECISIONS},
        "comparisons": comparisons,
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
