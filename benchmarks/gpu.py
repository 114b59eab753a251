"""Measures this project on an NVIDIA GPU, the most important parts first; `make gpu` runs it.

    python benchmarks/gpu.py [--bundle BUNDLE] [--budget SECONDS] [--only PART ...] [--dry-run | --rehearse]

It finds out what the machine has (PyTorch, ONNX Runtime's CUDA provider, TensorRT, TensorRT-RTX) and runs each part in
its own process, with a time limit: a part that hangs or crashes costs only its own time. After each part it rewrites
the record `benchmarks/results/gpu-NAME.json`. At the end it prints a table for the README.

`--dry-run` says what would run. `--rehearse` runs everything on the CPU with a small model, to show that the parts work
before they take minutes of a GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gpu_summary import summary

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "torch",
    "onnxruntime-gpu",
    "onnxruntime",
    "tensorrt",
    "tensorrt-rtx-cu13",
    "transformers",
    "timm",
    "triton",
    "numpy",
)
BATCHES = "1,8,32"
TAIL = 3000
"""Most characters that are kept of a failed part's output."""


@dataclass(frozen=True)
class Machine:
    """The GPU and the packages that this machine has."""

    gpu: str | None
    torch: bool
    onnxruntime: bool
    """Whether ONNX Runtime has the CUDA provider."""
    backends: tuple[str, ...]
    """The installed backends of `mghft-export trt`: `tensorrt`, `rtx`."""


@dataclass(frozen=True)
class Part:
    """One thing to run.

    Attributes:
        name: the part's key in the record.
        command: the command line; `{output}` stands for the JSON file that it writes, `{bundle}` for the bundle.
        limit: the most seconds that it may take.
        missing: why it cannot run here; None if it can.
    """

    name: str
    command: tuple[str, ...]
    limit: float
    missing: str | None = None


def find_machine() -> Machine:
    """Find out what the machine has, without importing large packages."""
    name = _said("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    providers = _said(
        sys.executable, "-c", "import onnxruntime; print(onnxruntime.get_available_providers())"
    )
    return Machine(
        gpu=name.splitlines()[0] if name else None,
        torch=importlib.util.find_spec("torch") is not None,
        onnxruntime="CUDAExecutionProvider" in (providers or ""),
        backends=tuple(
            backend
            for backend, package in (("tensorrt", "tensorrt"), ("rtx", "tensorrt_rtx"))
            if importlib.util.find_spec(package) is not None
        ),
    )


def parts_of(machine: Machine, bundle: Path | None, *, rehearse: bool) -> list[Part]:
    """The parts to run, the most important first."""
    python = sys.executable
    here = Path(__file__).parent
    export = (python, "-c", "from mghft_export.cli.main import main; main()")
    bench = (python, "-c", "from mghft_export.cli.bench import main; main()")
    no_gpu = None if machine.gpu or rehearse else "there is no NVIDIA GPU, or its driver is missing"
    no_torch = no_gpu or (None if machine.torch else "PyTorch is not installed")
    no_cuda = no_gpu or (
        None
        if machine.onnxruntime or rehearse
        else "ONNX Runtime has no CUDA provider: install onnxruntime-gpu"
    )
    pytorch = (python, str(here / "gpu_pytorch.py"), "-o", "{output}", *(("--rehearse",) if rehearse else ()))
    quick = (
        ("--iterations", "2", "--duration", "0") if rehearse else ("--iterations", "5", "--duration", "0.5")
    )
    batches = "1" if rehearse else BATCHES
    model = () if rehearse else ("--arch", "paper", "--random-weights")  # mghft-mini needs no options
    once = "one batch size is rehearsed" if rehearse else None
    found = [
        Part("goldens", (*pytorch, "--part", "goldens"), 120, no_torch),
        Part(
            "tests",
            (python, "-m", "pytest", "-q", "-m", "gpu", "tests/runtime", "-p", "no:cacheprovider"),
            240,
            no_torch,
        ),
        Part("PyTorch, batch 1", (*pytorch, "--part", "pytorch", "--batch", "1"), 240, no_torch),
        Part("PyTorch, batch 8", (*pytorch, "--part", "pytorch", "--batch", "8"), 240, no_torch or once),
        Part("PyTorch, batch 32", (*pytorch, "--part", "pytorch", "--batch", "32"), 240, no_torch or once),
    ]
    if bundle is None:
        command = (*export, "onnx", *model, "--no-verify", "--precision", "fp16")
        found.append(Part("bundle", (*command, "-o", "{bundle}"), 300, no_torch))
    sweep = (*bench, "sweep", "{bundle}", "--batches", batches, "--part", "vision+fusion", *quick)
    provider = "cpu" if rehearse else "cuda"
    found.append(
        Part(
            "ONNX Runtime",
            (*sweep, "--only", "onnxruntime", "--provider", provider, "--budget", "150", "-o", "{output}"),
            200,
            no_cuda,
        )
    )
    for backend in ("tensorrt", "rtx"):
        lacks = no_gpu or (None if backend in machine.backends else f"{backend} is not installed")
        for precision in ("fp16", "int8"):
            builds = (*export, "trt", "{bundle}", f"--{precision}", "--backend", backend, "--level", "3")
            # An engine is built for the machine's own GPU; a rehearsal has none, so it names a target.
            target = ("--target", "sm86") if rehearse and backend == "rtx" else ()
            rehearsed = "TensorRT builds only on a GPU" if rehearse and backend == "tensorrt" else None
            slow = "INT8 is not rehearsed" if rehearse and precision == "int8" else None
            found.append(
                Part(
                    f"build {backend} {precision}",
                    (*builds, "--batch", "1,1,2", *(() if rehearse else ("--batch", "1,8,32")), *target),
                    420,
                    lacks or rehearsed or slow,
                )
            )
    no_engine = no_gpu or (None if machine.backends else "neither TensorRT nor TensorRT-RTX is installed")
    found.append(
        Part(
            "engines",
            (*sweep, "--only", "engine", "--budget", "150", "-o", "{output}"),
            200,
            no_engine or ("engines run only on a GPU" if rehearse else None),
        )
    )
    return found


def run_part(part: Part, limit: float, work: Path, bundle: Path) -> dict[str, Any]:
    """Run a part; return how it ended, its seconds, and its results."""
    output = work / "output.json"
    output.unlink(missing_ok=True)
    places = {"{output}": str(output), "{bundle}": str(bundle)}
    command = [places.get(word, word) for word in part.command]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    start = time.monotonic()
    with (work / "said.txt").open("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status = "done" if process.wait(limit) == 0 else f"failed with exit status {process.returncode}"
        except subprocess.TimeoutExpired:
            status = f"stopped after {limit:.0f} s"
        finally:
            _end(process)
        said.seek(0)
        text = said.read()
    found: dict[str, Any] = {"status": status, "seconds": round(time.monotonic() - start, 1)}
    if output.is_file():
        try:
            found["result"] = json.loads(output.read_text(encoding="utf-8"))
        except ValueError:
            found["status"] = f"{status}; its result is not whole"
    if status != "done" or "result" not in found:
        found["said"] = text[-TAIL:]
    return found


def machine_values() -> dict[str, Any]:
    """GPU, driver, clocks and versions."""
    query = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit,power.draw,temperature.gpu"
    said = _said("nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader") or ""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "gpu": dict(zip(query.split(","), said.strip().split(", "), strict=False)) if said else None,
        "python": platform.python_version(),
        "versions": versions,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def measure(
    parts: list[Part], record_file: Path, bundle: Path, budget: float, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Run the parts in order and write the record after each."""
    record: dict[str, Any] = {"machine": machine_values(), "parts": {}}
    end = time.monotonic() + budget
    with tempfile.TemporaryDirectory() as work:
        for part in parts:
            left = end - time.monotonic()
            if part.missing is not None:
                found = {"status": "not run", "reason": part.missing}
            elif left < 10:
                found = {"status": "not run", "reason": "the budget was spent before; --budget gives more"}
            else:
                say(f"{part.name} ...")
                found = run_part(part, min(part.limit, left), Path(work), bundle)
            record["parts"][part.name] = found
            say(f"{part.name}: {found['status']}" + (f" ({found['reason']})" if "reason" in found else ""))
            record_file.parent.mkdir(parents=True, exist_ok=True)
            partial = record_file.with_suffix(".partial")
            partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            partial.replace(record_file)
    record["machine_after"] = machine_values()
    record_file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def main() -> int:
    """Parse the options, look at the machine, run the parts; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--bundle", type=Path, help="the paper's size with random weights is exported by default"
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=1800,
        metavar="SECONDS",
        help="for all parts together; 1800 by default",
    )
    parser.add_argument(
        "--only", action="append", metavar="PART", help="a part's name, as --dry-run shows it"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would run")
    parser.add_argument("--rehearse", action="store_true", help="run on the CPU, with a small model")
    parser.add_argument("-o", "--output", type=Path, help="benchmarks/results/gpu-NAME.json by default")
    arguments = parser.parse_args()
    machine = find_machine()
    parts = parts_of(machine, arguments.bundle, rehearse=arguments.rehearse)
    unknown = set(arguments.only or ()) - {part.name for part in parts}
    if unknown:
        parser.error(f"there is no part {min(unknown)!r}; --dry-run names them")
    parts = [part for part in parts if not arguments.only or part.name in arguments.only]
    print(f"GPU: {machine.gpu or 'none'}")
    if arguments.dry_run:
        for part in parts:
            print(f"{part.name}: " + (part.missing or f"at most {part.limit:.0f} s"))
        return 0
    if machine.gpu is None and not arguments.rehearse:
        parser.error("there is no NVIDIA GPU, or its driver is missing; --rehearse runs on the CPU")
    slug = re.sub(r"[^a-z0-9]+", "-", (machine.gpu or "rehearsal").lower()).strip("-")
    output = arguments.output or RESULTS / f"gpu-{slug}.json"
    with tempfile.TemporaryDirectory() as folder:
        record = measure(parts, output, arguments.bundle or Path(folder) / "bundle", arguments.budget)
    print(f"\n{summary(record)}\n\nWritten: {output}")
    failed = [name for name, part in record["parts"].items() if part["status"] not in ("done", "not run")]
    return 1 if failed else 0


def _said(*command: str) -> str | None:
    """The output of a program; None if it fails or does not exist."""
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a part's process and all processes that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    raise SystemExit(main())
