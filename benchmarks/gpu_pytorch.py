"""PyTorch on an NVIDIA GPU: goldens, as released against fused; and ONNX Runtime's CUDA provider where it is there.

    python benchmarks/gpu_pytorch.py -o benchmarks/results/gpu_pytorch.json [--graph NAME=vision.onnx ...]

It needs torch, transformers, timm and, for --graph, onnxruntime-gpu; no bundle. The paper's size with random weights,
image and text features -> logits; inputs and outputs stay on the GPU. The file is written anew after each part.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from goldens.formula import golden_image, golden_tokens  # noqa: E402
from goldens.model import formula_model  # noqa: E402

from mghft_export.config import MGHFTConfig  # noqa: E402
from mghft_export.fused.fusion import FusedFusion  # noqa: E402
from mghft_export.fused.mghft import fuse  # noqa: E402
from mghft_export.fused.vision import FusedVision  # noqa: E402
from mghft_export.model.mghft import MGHFT, as_released  # noqa: E402

BATCHES = (1, 8, 32)
GOLDENS = ("paper_448", "locals_1010_224")
ROUNDS = 10
SECONDS = 0.2
"""Timed runs of a round, and at least one."""

Run = Callable[[], object]


def goldens() -> list[dict[str, Any]]:
    """Largest difference of logits from the recorded ones, by case, form and precision."""
    found = []
    for name in GOLDENS:
        with np.load(ROOT / "tests" / "goldens" / f"{name}.npz") as content:
            expected = dict(content)
        values = json.loads(str(expected["config"]))
        size = values["height"], values["width"]
        config = MGHFTConfig.paper(image_size=size, locals=tuple(values["locals"]), views="separate")
        model = formula_model(config)
        ids, mask = golden_tokens(values["batch"], 4, values["text_length"], values["token_seed"])
        image = golden_image(values["batch"], *size, values["image_seed"])
        inputs = [torch.from_numpy(array).cuda() for array in (image, ids, mask)]
        forms = {"as-released": as_released(model).cuda().eval(), "fused": fuse(model).cuda()}
        for form, module in forms.items():
            for precision in ("float32", "float16 autocast"):
                with torch.inference_mode(), torch.autocast("cuda", torch.float16, "16" in precision):
                    output = module(*inputs)
                logits = (output if isinstance(output, Tensor) else output.logits).float().cpu().numpy()
                difference = float(np.abs(logits - expected["logits"]).max())
                same = bool((logits.argmax(1) == expected["logits"].argmax(1)).all())
                found.append(
                    {
                        "case": name,
                        "form": form,
                        "precision": precision,
                        "difference": difference,
                        "same_class": same,
                    }
                )
    return found


def side_by_side(runs: dict[str, Run]) -> dict[str, Any]:
    """Interleaved rounds: median milliseconds of each, and speed against the first."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(ROUNDS + 1):
        for name, run in runs.items():
            run()
            torch.cuda.synchronize()
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < SECONDS:
                run()
                torch.cuda.synchronize()
                count += 1
            if number:  # the first round warms up
                times[name].append((time.perf_counter() - start) / count * 1e3)
    first = np.array(next(iter(times.values())))
    return {
        name: {
            "median_ms": float(np.median(values)),
            "speed_up": float(np.median(first / np.array(values))),
            "round_ms": values,
        }
        for name, values in times.items()
    }


def prepared(make: Callable[[], Run], precision: torch.dtype | None) -> tuple[Run | None, dict[str, Any]]:
    """A form ready to be timed, with its peak memory, or why it cannot run."""

    def run() -> object:
        with torch.inference_mode(), torch.autocast("cuda", precision, precision is not None):
            return step()

    try:
        torch.cuda.empty_cache()
        step = make()
        torch.cuda.synchronize()
        loaded = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        run()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        peak = torch.cuda.max_memory_allocated() - loaded
    except Exception as error:  # a row that cannot run says why, and the others go on
        torch.cuda.empty_cache()
        return None, {"failure": (str(error).splitlines() or [type(error).__name__])[0][:200]}
    return run, {"first_run_s": seconds, "peak_bytes": peak}


def pytorch(batch: int) -> dict[str, Any]:
    """As released against fused, eager and compiled, float32 and float16 autocast."""
    config = MGHFTConfig.paper()
    model = MGHFT(config, reattention="as_released", text_model=False).eval().cuda()
    fused = MGHFT(config, text_model=False).eval()
    vision, fusion = FusedVision(fused.vision_model).eval().cuda(), FusedFusion(fused).eval().cuda()
    image = torch.randn(batch, 3, *config.image_size, device="cuda")
    pooled = torch.randn(batch, 4, config.bert_dim, device="cuda")
    features = torch.randn(batch, 4, config.shared_dim, device="cuda")

    def released(pixels: Tensor, texts: Tensor) -> Tensor:
        logits: Tensor = model(pixels, pooled_text=texts).logits
        return logits

    def ours(pixels: Tensor, texts: Tensor) -> Tensor:
        logits: Tensor = fusion(*vision(pixels), texts)
        return logits

    forms = {"as-released": (released, pooled), "fused": (ours, features)}
    runs: dict[str, Run] = {}
    notes: dict[str, dict[str, Any]] = {}
    for form, (function, texts) in forms.items():
        for mode in ("eager", "compiled"):
            for name, precision in (("float32", None), ("float16", torch.float16)):

                def make(function: Any = function, texts: Tensor = texts, mode: str = mode) -> Run:
                    torch._dynamo.reset()
                    called = torch.compile(function, dynamic=False) if mode == "compiled" else function
                    return lambda: called(image, texts)

                row = f"{form} {mode} {name}"
                run, notes[row] = prepared(make, precision)
                if run is not None:
                    runs[row] = run
                print(batch, row, notes[row], flush=True)
    measured = side_by_side(runs)
    return {row: {**note, **measured.get(row, {})} for row, note in notes.items()}


def onnx_runtime(graph: Path, batch: int) -> dict[str, Any]:
    """A vision graph in the CUDA provider, its inputs and outputs on the GPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        str(graph),
        options,
        providers=[("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"],
        enable_fallback=0,
    )
    if "CUDAExecutionProvider" not in session.get_providers():
        known = ", ".join(onnxruntime.get_available_providers())
        return {"failure": f"ONNX Runtime did not start its CUDA provider; it has {known}"}
    source = session.get_inputs()[0]
    pixels = np.random.default_rng(0).standard_normal((batch, *source.shape[1:])).astype(np.float32)
    binding = session.io_binding()
    binding.bind_ortvalue_input(source.name, onnxruntime.OrtValue.ortvalue_from_numpy(pixels, "cuda", 0))
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda", 0)
    return side_by_side({"onnxruntime cuda": lambda: session.run_with_iobinding(binding)})["onnxruntime cuda"]


def machine() -> dict[str, Any]:
    """GPU, driver, clocks and versions."""
    query = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit,temperature.gpu"
    said = subprocess.run(
        ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"], capture_output=True, text=True
    )
    versions = {}
    for package in ("torch", "onnxruntime-gpu", "onnxruntime", "transformers", "timm", "numpy", "triton"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "gpu": dict(zip(query.split(","), said.stdout.strip().split(", "), strict=False)),
        "python": platform.python_version(),
        "cuda": torch.version.cuda,
        "versions": versions,
    }


def main() -> None:
    """Parse, measure, write after each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--graph", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--batch", action="append", type=int, dest="batches", help="1, 8 and 32 by default")
    arguments = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    record: dict[str, Any] = {"machine": machine()}

    def part(name: str, work: Callable[[], Any]) -> None:
        try:
            record[name] = work()
        except Exception as error:  # the other parts go on
            record[name] = {"failure": f"{type(error).__name__}: {str(error).splitlines()[:1]}"}
        arguments.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(record[name])[:1500], flush=True)

    part("goldens", goldens)
    for batch in arguments.batches or BATCHES:
        for item in arguments.graph:
            name, _, file = item.partition("=")
            part(f"{name}, batch {batch}", lambda file=file, batch=batch: onnx_runtime(Path(file), batch))
        part(f"vision+fusion, batch {batch}", lambda batch=batch: pytorch(batch))
    record["machine_after"] = machine()
    arguments.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
