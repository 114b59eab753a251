"""`make gpu` where there is no GPU: what would run, how a part ends, and what is kept of it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.py"

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(SCRIPT.parent))
    specification = importlib.util.spec_from_file_location("gpu_script", SCRIPT)
    gpu = importlib.util.module_from_spec(specification)
    sys.modules["gpu_script"] = gpu
    specification.loader.exec_module(gpu)

WRITES = "import sys; open(sys.argv[1], 'w').write('{\"a\": 1}')"


def test_what_would_run_is_said():
    found = subprocess.run([sys.executable, SCRIPT, "--dry-run"], capture_output=True, text=True, check=True)
    names = [line.split(":")[0] for line in found.stdout.splitlines()[1:]]
    assert names[:3] == ["goldens", "tests", "PyTorch, batch 1"], "the most valuable first"
    assert "engines" in names


def test_an_unknown_part_is_refused():
    found = subprocess.run([sys.executable, SCRIPT, "--only", "x"], capture_output=True, text=True)
    assert found.returncode == 2
    assert "no part 'x'" in found.stderr


def test_each_part_ends_alone_and_the_record_is_kept(tmp_path):
    python = sys.executable
    parts = [
        gpu.Part("good", (python, "-c", WRITES, "{output}"), 60),
        gpu.Part("bad", (python, "-c", "raise SystemExit('broken')"), 60),
        gpu.Part("slow", (python, "-c", "import time; time.sleep(60)"), 1),
        gpu.Part("absent", ("x",), 60, "it is not installed"),
    ]
    record_file = tmp_path / "gpu.json"
    gpu.measure(parts, record_file, tmp_path / "bundle", 100, lambda _: None)
    record = json.loads(record_file.read_text())
    assert record["parts"]["good"]["result"] == {"a": 1}
    assert record["parts"]["bad"]["status"] == "failed with exit status 1"
    assert "broken" in record["parts"]["bad"]["said"]
    assert record["parts"]["slow"]["status"] == "stopped after 1 s"
    assert record["parts"]["absent"] == {"status": "not run", "reason": "it is not installed"}
    assert "slow: stopped after 1 s" in gpu.summary(record)


def test_the_budget_ends_the_run(tmp_path):
    part = gpu.Part("good", (sys.executable, "-c", WRITES, "{output}"), 60)
    record = gpu.measure([part], tmp_path / "gpu.json", tmp_path / "bundle", 5, lambda _: None)
    assert record["parts"]["good"]["status"] == "not run"
    assert "--budget" in record["parts"]["good"]["reason"]


def test_the_rehearsal(tiny_bundle, tmp_path):
    """Each part as on a GPU, in its own process, with what a CPU can do in its place."""
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    record_file = tmp_path / "gpu.json"
    command = [sys.executable, SCRIPT, "--rehearse", "--bundle", bundle, "-o", record_file]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    parts = json.loads(record_file.read_text())["parts"]
    done = {name for name, part in parts.items() if part["status"] == "done"}
    assert done >= {"goldens", "tests", "PyTorch, batch 1", "ONNX Runtime"}
    assert all(
        part["status"] == "not run" and part["reason"] for name, part in parts.items() if name not in done
    )
    assert "build rtx fp16" in done or importlib.util.find_spec("tensorrt_rtx") is None
    lines = found.stdout.splitlines()
    for table in ("| fused eager float32 | ", "| onnxruntime fp32 | "):
        (row,) = [line for line in lines if line.startswith(table)]
        assert " ms" in row
    assert "Largest difference from the recorded logits there: as-released in float32 " in found.stdout


def test_the_bundle_part_is_a_command_that_there_is(tmp_path):
    """The first real run may have only minutes, so the commands are tried here."""
    machine = gpu.Machine(gpu=None, torch=True, onnxruntime=False, backends=("rtx",))
    (part,) = [part for part in gpu.parts_of(machine, None, rehearse=True) if part.name == "bundle"]
    for other in gpu.parts_of(machine, None, rehearse=True):
        if other.missing is None and other.command[1] == "-c":
            words = [word for word in other.command if word not in ("{bundle}", "{output}", "-o")]
            help_text = subprocess.run(
                [*words[:4], "--help"], capture_output=True, text=True, check=True, cwd=ROOT
            )
            for option in [word for word in words if word.startswith("--")]:
                assert option.removesuffix("p16") in help_text.stdout, (other.name, option)
    assert part.limit >= 60
