"""Measures builds of TensorRT-RTX engines: time, size, layers and fused attentions of each branch and precision.

    python benchmarks/rtx_builds.py mini=mghft-bundle paper=mghft-bundle-paper

The bundles need their FP16 and INT8 graphs. Each build runs in its own process; its CPU seconds are meaningful on a
busy machine, too. Writes `benchmarks/results/rtx_builds.json`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "rtx_builds.json"
TARGETS = "sm80,sm86,sm89,sm120"
FLAGS = ("--fp32", "--fp16", "--int8")
LATENCY = ("--batch", "1,1,1"), ("--batch", "1,1,2")


def build(bundle: str, *options: str) -> dict[str, Any]:
    """Run `mghft-export trt` once and measure it."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    program = str(Path(sys.executable).with_name("mghft-export"))
    command = [program, "trt", bundle, "--backend", "rtx", "--target", TARGETS, "--json", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    info = json.loads(done.stdout)
    engines = info["engines"].items()
    return {
        "options": list(options),
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "version": info["version"],
        "branches": {
            branch: {"bytes": entry["file"]["bytes"], **{key: entry[key] for key in ("layers", "attentions")}}
            for branch, entry in engines
        },
    }


def main() -> None:
    """Build everything, largest file last."""
    results: dict[str, Any] = {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "targets": TARGETS,
        "builds": {},
    }
    for argument in sys.argv[1:]:
        name, _, bundle = argument.partition("=")
        builds = [build(bundle, flag) for flag in FLAGS]
        builds += [build(bundle, "--fp16", *batch, "--branch", "vision") for batch in LATENCY]
        results["builds"][name] = builds
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
