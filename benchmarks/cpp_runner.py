"""Compares `mghft-run` with the Python command: start-up in new processes, and throughput in interleaved rounds.

    make cpp
    python benchmarks/cpp_runner.py BUNDLE build/cpp/mghft-run

Start-up is the time from the command to the prediction of one sticker. It is measured in three ways: with the bundle
and libraries in the page cache and the bundle's files verified before (`warm`); with every file hashed as at a first
start (`hashed`); and, for root on Linux, after dropping the page cache (`cold`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from mghft_export.bench.compare import WARM_UP_RUNS, compare
from mghft_export.bench.provenance import machine
from mghft_export.bench.records import row_record
from mghft_export.bench.runner_rows import runner_version
from mghft_export.bench.statistics import speed_up
from mghft_export.bench.subjects import Subject
from mghft_export.bundle import load_bundle

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "cpp_runner.json"
STICKER = ROOT / "calibration" / "stickers-small" / "Images" / "noto" / "2620.png"
TEXT = (
    "#The sticker's intention is to warn. #The sticker's style is flat. #The sticker's main role is a skull."
)
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
BATCHES = (1, 8)
PARTS = ("vision+fusion", "pipeline")


def seconds(command: list[str], *, cold: bool, hashed: bool) -> float:
    """Seconds of one run, which must succeed."""
    environment = {**os.environ, "MGHFT_ALWAYS_HASH": "1" if hashed else "0"}
    if cold:
        os.sync()
        DROP_CACHES.write_text("3\n")
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - started


def start_up(
    python: list[str], runner: list[str], *, rounds: int, cold: bool = False, hashed: bool = False
) -> dict[str, Any]:
    """Start-up times of both commands, run in turns."""
    commands = {"python": python, "mghft-run": runner}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            took = seconds(command, cold=cold, hashed=hashed)
            if number > 0:  # the first run of each only fills the page cache
                times[name].append(took)
    gain = speed_up(times["python"], times["mghft-run"])
    return {
        **{f"{name}_ms": float(np.median(values) * 1e3) for name, values in times.items()},
        "speed_up": vars(gain),
        "rounds": rounds,
    }


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("runner", type=Path)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    bundle, console = load_bundle(arguments.bundle), Console()
    runner = arguments.runner.resolve()
    predict = ["predict", str(arguments.bundle), str(STICKER), "--text", TEXT, "--json"]
    commands = [str(Path(sys.executable).with_name("mghft-export")), *predict], [str(runner), *predict]
    content: dict[str, Any] = {
        "machine": machine(),
        "versions": {
            "onnxruntime-gpu": version("onnxruntime-gpu"),
            "python": sys.version.split()[0],
            "mghft-run": runner_version(runner),
        },
        "model": bundle.manifest.model,
        "start_up": {
            "warm": start_up(*commands, rounds=arguments.iterations),
            "hashed": start_up(*commands, hashed=True, rounds=arguments.iterations),
        },
        "comparisons": [],
    }
    if os.access(DROP_CACHES, os.W_OK):
        content["start_up"]["cold"] = start_up(*commands, cold=True, rounds=max(3, arguments.iterations // 4))
    for name, found in content["start_up"].items():
        console.print(
            f"start-up, {name}: {found['python_ms']:.0f} against {found['mghft-run_ms']:.0f} ms, "
            f"{found['speed_up']['median']:.1f}x"
        )
    with Progress(console=console, transient=True) as progress:
        for part in PARTS:
            for batch in BATCHES:
                python = Subject(arguments.bundle, "onnxruntime", part, batch, arguments.threads)  # type: ignore[arg-type]
                program = Subject(
                    arguments.bundle,
                    "mghft-run",
                    part,  # type: ignore[arg-type]
                    batch,
                    arguments.threads,
                    runner=runner,
                )
                task = progress.add_task(f"{part}, batch {batch}", total=WARM_UP_RUNS + arguments.iterations)
                rows = compare(
                    [python, program],
                    iterations=arguments.iterations,
                    duration=6,
                    on_round=lambda done, task=task: progress.update(task, completed=done),  # type: ignore[misc]
                )
                if failed := next((row.failure for row in rows if row.failure), None):
                    raise SystemExit(f"a row could not be measured: {failed}")
                content["comparisons"].append(
                    {
                        "part": part,
                        "batch": batch,
                        "rows": [row_record(row).model_dump(mode="json") for row in rows],
                    }
                )
                gain = rows[1].speed_up
                assert gain is not None
                console.print(
                    f"{part}, batch {batch}: {gain.median:.2f}x ({gain.low:.2f} to {gain.high:.2f})"
                )
    for comparison in content["comparisons"]:
        for row in comparison["rows"]:
            row["subject"]["runner"] = (
                row["subject"]["runner"] and "mghft-run"
            )  # without its path on this machine
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
