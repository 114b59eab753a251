"""Measures how time grows with batch size and image size on this machine's CPU.

    python benchmarks/scaling.py [--work FOLDER]

It first exports a bundle of the paper's model with random weights at each image size, and keeps it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from mghft_export.cli.bench import bench
from mghft_export.cli.main import cli, run

RESULTS = Path(__file__).parent / "results" / "scaling.json"
SIDES = (224, 448)
BATCHES = "1,2,4,8"


def main() -> None:
    """Export, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/scaling"))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    sizes: dict[str, object] = {}
    for side in SIDES:
        bundle, record = arguments.work / f"paper-{side}", arguments.work / f"{side}.json"
        exported = None
        if not bundle.exists():
            start = time.perf_counter()
            options = ["--arch", "paper", "--random-weights", "--no-verify", "--image-size", str(side)]
            check(run(cli, ["onnx", *options, "-o", str(bundle)]))
            exported = time.perf_counter() - start
        rows = ["--only", "fused", "--only", "onnxruntime", "--provider", "cpu", "--part", "vision+fusion"]
        check(
            run(
                bench,
                ["sweep", str(bundle), "--batches", BATCHES, "--budget", "inf", *rows, "-o", str(record)],
            )
        )
        sizes[str(side)] = {"export_seconds": exported, **json.loads(record.read_text(encoding="utf-8"))}
    RESULTS.write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")


def check(status: int) -> None:
    """Exit with a command's status if it failed; the command has said why."""
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    main()
