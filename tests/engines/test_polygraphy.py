"""NVIDIA's Polygraphy takes every ONNX file of a bundle, and the engines import without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mghft_export.bundle import BRANCHES

EACH = """
import sys
from polygraphy.tools import main
for arguments in {runs!r}:
    sys.argv = ["polygraphy", *arguments]
    try:
        main()
    except SystemExit as end:
        if end.code:
            sys.exit(f"{{arguments}}: {{end.code}}")
    print("DONE", arguments[2 if arguments[0] == "inspect" else 1])
"""


def polygraphy(runs):
    """Run the command several times in one process; its output."""
    pytest.importorskip("polygraphy")
    done = subprocess.run([sys.executable, "-c", EACH.format(runs=runs)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def files(bundle):
    return {
        (precision, branch): str(bundle.graph(branch, precision))
        for precision in ("fp32", "fp16", "int8-fp16")
        for branch in BRANCHES
    }


def test_inspect_model_takes_every_file(full_bundle):
    paths = files(full_bundle)
    out = polygraphy([["inspect", "model", path] for path in paths.values()])
    assert out.count("DONE") == len(paths)
    assert out.count("Graph Output(s)") == len(paths)


def test_run_onnxrt_takes_every_file(full_bundle):
    extra = {
        "vision": ["--input-shapes", "image:[2,3,96,96]"],
        "text": [
            "--input-shapes", "input_ids:[2,8]", "attention_mask:[2,8]",
            "--val-range", "input_ids:[0,1000]", "attention_mask:[1,1]",
        ],
        "fusion": [],
    }  # fmt: skip
    paths = files(full_bundle)
    out = polygraphy([["run", path, "--onnxrt", *extra[branch]] for (_, branch), path in paths.items()])
    assert out.count("DONE") == len(paths)
    assert out.count("PASSED") >= len(paths)


def test_engines_import_without_torch_and_without_either_package():
    code = """
import sys
for name in ("torch", "tensorrt", "tensorrt_rtx", "polygraphy", "cuda"):
    sys.modules[name] = None
import mghft_export.cli.trt, mghft_export.cli.inspect, mghft_export.engines.loading
"""
    subprocess.run([sys.executable, "-c", code], check=True)
