"""The core runs without torch, and importing it is instant."""

import subprocess
import sys


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_core_never_imports_torch():
    code = """
import sys
import mghft_export.cli.main, mghft_export.cli.predict, mghft_export.cli.encode_text, mghft_export.cli.data
import mghft_export.cli.verify, mghft_export.runtime.engine_branches
import mghft_export.bundle, mghft_export.config, mghft_export.graph.graph_checks, mghft_export.graph.edits
heavy = {"torch", "transformers", "timm", "torchvision", "sklearn", "matplotlib"} & set(sys.modules)
heavy |= {"cuda", "tensorrt", "tensorrt_rtx", "polygraphy"} & set(sys.modules)
print(sorted(heavy))
"""
    assert python(code) == "[]"


def test_a_prediction_imports_only_what_it_needs(tiny_bundle, small_set):
    code = f"""
import sys
from mghft_export.cli.main import cli, run
image = next(__import__("pathlib").Path({str(small_set)!r}).glob("Images/*/*.png"))
run(cli, ["predict", {str(tiny_bundle)!r}, str(image), "--text", "a happy face", "--json"])
print(sorted({{"onnx", "asyncio", "PIL.PdfImagePlugin", "PIL.EpsImagePlugin"}} & set(sys.modules)))
"""
    assert python(code).splitlines()[-1] == "[]"


def test_core_runs_where_torch_is_not_installed(tiny_bundle, small_set):
    code = f"""
import sys
sys.modules["torch"] = None  # any import of it fails
from mghft_export.cli.main import cli, run
image = next(__import__("pathlib").Path({str(small_set)!r}).glob("Images/*/*.png"))
sys.exit(run(cli, ["predict", {str(tiny_bundle)!r}, str(image), "--text", "a happy face", "--json"]))
"""
    assert '"label"' in python(code)


def test_import_takes_less_than_half_a_second():
    elapsed = python(
        "import time; t = time.perf_counter(); import mghft_export; print(time.perf_counter() - t)"
    )
    assert float(elapsed) < 0.5
