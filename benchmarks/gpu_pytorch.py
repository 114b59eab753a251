"""Measures PyTorch on an NVIDIA GPU: the goldens, and the released form against the fused one, for `benchmarks/gpu.py`.

    python benchmarks/gpu_pytorch.py --part goldens -o goldens.json
    python benchmarks/gpu_pytorch.py --part pytorch --batch 8 -o batch8.json

It needs torch, transformers and timm, but no bundle. The model has the paper's size and random weights. It runs from
image and text features to logits; inputs and outputs stay on the GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
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

GOLDENS = ("paper_448", "locals_1010_224")
MODES = ("eager", "compiled")
ROUNDS = 5
SECONDS = 0.2
"""Seconds of timed runs in a round, with at least one run."""

Run = Callable[[], object]


def goldens(device: torch.device, names: Sequence[str]) -> list[dict[str, Any]]:
    """Largest difference of logits from the recorded ones, by case, form and precision."""
    found = []
    for name in names:
        with np.load(ROOT / "tests" / "goldens" / f"{name}.npz") as content:
            expected = dict(content)
        values = json.loads(str(expected["config"]))
        size = values["height"], values["width"]
        config = MGHFTConfig.paper(image_size=size, locals=tuple(values["locals"]), views="separate")
        model = formula_model(config)
        ids, mask = golden_tokens(values["batch"], 4, values["text_length"], values["token_seed"])
        image = golden_image(values["batch"], *size, values["image_seed"])
        inputs = [torch.from_numpy(array).to(device) for array in (image, ids, mask)]
        forms = {"as-released": as_released(model).to(device).eval(), "fused": fuse(model).to(device)}
        for form, module in forms.items():
            for precision in ("float32", "float16 autocast"):
                with torch.inference_mode(), torch.autocast(device.type, torch.float16, "16" in precision):
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


def synchronize(device: torch.device) -> None:
    """Wait for the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def side_by_side(runs: dict[str, Run], device: torch.device) -> dict[str, Any]:
    """Time all in interleaved rounds: the median milliseconds of each, and its speed relative to the first."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(ROUNDS + 1):
        for name, run in runs.items():
            run()
            synchronize(device)
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < SECONDS:
                run()
                synchronize(device)
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


def prepared(
    make: Callable[[], Run], precision: torch.dtype | None, device: torch.device
) -> tuple[Run | None, dict[str, Any]]:
    """A form that is ready to be timed, and its peak memory; or None, and why it cannot run."""

    def run() -> object:
        with torch.inference_mode(), torch.autocast(device.type, precision, precision is not None):
            return step()

    try:
        torch.cuda.empty_cache()
        step = make()
        synchronize(device)
        loaded = torch.cuda.memory_allocated()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        run()
        synchronize(device)
        seconds = time.perf_counter() - started
        peak = torch.cuda.max_memory_allocated() - loaded
    except Exception as error:  # a row that cannot run says why; the other rows still run
        torch.cuda.empty_cache()
        return None, {"failure": (str(error).splitlines() or [type(error).__name__])[0][:200]}
    return run, {"first_run_s": seconds, "peak_bytes": peak}


def pytorch(config: MGHFTConfig, batch: int, device: torch.device, modes: Sequence[str]) -> dict[str, Any]:
    """Compare the released form with the fused one: eager and compiled, in float32 and float16 autocast."""
    model = MGHFT(config, reattention="as_released", text_model=False).eval().to(device)
    fused = MGHFT(config, text_model=False).eval()
    vision, fusion = FusedVision(fused.vision_model).eval().to(device), FusedFusion(fused).eval().to(device)
    image = torch.randn(batch, 3, *config.image_size, device=device)
    pooled = torch.randn(batch, 4, config.bert_dim, device=device)
    features = torch.randn(batch, 4, config.shared_dim, device=device)

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
        for mode in modes:
            for name, precision in (("float32", None), ("float16", torch.float16)):

                def make(function: Any = function, texts: Tensor = texts, mode: str = mode) -> Run:
                    torch._dynamo.reset()
                    called = torch.compile(function, dynamic=False) if mode == "compiled" else function
                    return lambda: called(image, texts)

                row = f"{form} {mode} {name}"
                run, notes[row] = prepared(make, precision, device)
                if run is not None:
                    runs[row] = run
                print(batch, row, notes[row], flush=True)
    measured = side_by_side(runs, device)
    return {row: {**note, **measured.get(row, {})} for row, note in notes.items()}


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--part", choices=["goldens", "pytorch"], required=True)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument(
        "--rehearse", action="store_true", help="on the CPU: the small model, eager, one golden"
    )
    arguments = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    device = torch.device("cpu" if arguments.rehearse else "cuda")
    if arguments.part == "goldens":
        result: Any = goldens(device, GOLDENS[-1:] if arguments.rehearse else GOLDENS)
    else:
        config = MGHFTConfig.mini() if arguments.rehearse else MGHFTConfig.paper()
        result = pytorch(config, arguments.batch, device, MODES[:1] if arguments.rehearse else MODES)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
