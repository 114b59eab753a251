"""Everything that runs on an NVIDIA GPU, side by side: PyTorch as released and fused, ONNX Runtime, engines.

    mghft-export onnx --arch paper --random-weights --precision fp16 --precision int8-fp16 -o BUNDLE
    mghft-export trt BUNDLE --fp16 --batch 1,1,2 --batch 1,8,32
    mghft-export trt BUNDLE --int8 --batch 1,1,2 --batch 1,8,32
    python benchmarks/gpu.py BUNDLE

PyTorch eager, compiled, under autocast, and compiled under autocast to FP16 and BF16; ONNX Runtime's CUDA and TensorRT
providers; every engine of the bundle. One JSON for each GPU, by its name, in `benchmarks/results/`. Clocks,
temperature, power and throttling are in its rows where `nvidia-ml-py` is installed. Not run yet: needs a GPU.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from mghft_export.cli.bench import bench
from mghft_export.cli.main import run
from mghft_export.engines.gpu import NoGpu, find_gpu

RESULTS = Path(__file__).parent / "results"
PARTS = ("vision", "vision+fusion", "text", "whole", "pipeline")


def main() -> int:
    """Parse, look for a GPU, measure; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--part", dest="parts", action="append", choices=PARTS)
    arguments = parser.parse_args()
    gpu = find_gpu()
    if isinstance(gpu, NoGpu):
        parser.error(f"no GPU: {gpu.reason}")
    name = re.sub(r"[^a-z0-9]+", "-", gpu.name.lower()).strip("-")
    command = ["sweep", str(arguments.bundle), "--batches", arguments.batches, "--budget", "inf"]
    command += ["--provider", "cuda", "--provider", "tensorrt", "-o", str(RESULTS / f"gpu-{name}.json")]
    for part in arguments.parts or PARTS:
        command += ["--part", part]
    return run(bench, command)


if __name__ == "__main__":
    raise SystemExit(main())
