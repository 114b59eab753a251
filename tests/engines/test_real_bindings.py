"""The code against the real classes of TensorRT, the oldest and the newest that is supported, and of TensorRT-RTX.

NVIDIA's Python bindings are small wheels. They import over libraries that do nothing (nvinfer_stub.c): then classes,
methods, properties and flags are the real ones, and nothing can be built.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from names_used import names_used
from runtime import stand_in_tensorrt

from mghft_export.engines.capabilities import CAPABILITIES

PACKAGE = Path(__file__).parents[2] / "mghft_export"
FILES = sorted([*(PACKAGE / "engines").glob("*.py"), *(PACKAGE / "runtime").glob("*.py")])

BEHIND = {
    "CudaGraphStrategy": "cuda_graph_strategy",
    "IRuntimeConfig": "runtime_cache",
    "IRuntimeCache": "runtime_cache",
    "ComputeCapability": "targets",
}
"""Classes that the code touches only where the capability table has a feature."""

WHEELS = {
    "10.3.0": ("tensorrt_cu12_bindings", 10, {"same_sm", "runtime_config"}),
    "11.4.0.106": ("tensorrt_cu13_bindings", 11, set()),
}
"""By version: the wheel, the number of its libraries, and the features of the table that it lacks of TensorRT's."""

LOOK = """
import importlib, json, sys
from mghft_export.engines.backend import Backend
from mghft_export.engines.capabilities import CAPABILITIES, has
module, backend = sys.argv[1:]
trt = importlib.import_module(module)

def find(name):
    found = trt
    for part in name.split("."):
        found = getattr(found, part)
    return found

docs = {}
for name in json.load(sys.stdin):
    try:
        docs[name] = find(name).__doc__ or ""
    except AttributeError:
        docs[name] = None
package = Backend(backend, trt.__version__, trt)
features = [name for name in CAPABILITIES if has(package, name)]
print(json.dumps({"version": trt.__version__, "docs": docs, "has": features}))
"""


def used():
    return sorted(set().union(*(names_used(file) for file in FILES)))


STANDS_FOR = {
    "Context": "IExecutionContext",
    "Engine": "ICudaEngine",
    "IRuntimeConfig": "IRuntimeConfig",
    "RuntimeCache": "IRuntimeCache",
}
"""Classes of the stand-in, and the real ones."""


def simulated():
    """`Class.method` of the stand-in, with the numbers of arguments that it takes."""
    found = {}
    for name, real in STANDS_FOR.items():
        for method, function in vars(getattr(stand_in_tensorrt, name)).items():
            if callable(function) and not method.startswith("_") and method != "refuse":
                found[f"{real}.{method}"] = function.__code__.co_argcount - 1
    return found


@pytest.fixture(scope="module", params=WHEELS)
def bindings(request, tmp_path_factory):
    """What a version of TensorRT has of the names that are used or simulated."""
    version = request.param
    wheel, number, _ = WHEELS[version]
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    root = tmp_path_factory.mktemp(f"tensorrt-{number}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--target", str(root / "site"), f"{wheel}=={version}"]
    installed = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PIP_CONSTRAINT": ""}
    )
    if installed.returncode:
        pytest.skip(f"{wheel} {version} cannot be had: {installed.stderr.strip().splitlines()[-1]}")
    for library in ("nvinfer", "nvonnxparser", "nvinfer_plugin"):
        name = f"lib{library}.so.{number}"
        source = Path(__file__).with_name("nvinfer_stub.c")
        subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", str(root / name), str(source)], check=True)
    paths = {"PYTHONPATH": f"{root / 'site'}:{PACKAGE.parent}", "LD_LIBRARY_PATH": str(root)}
    return look("tensorrt_bindings", "tensorrt", paths)


def look(module, backend, paths):
    names = json.dumps(sorted({*used(), *simulated()}))
    done = subprocess.run(
        [sys.executable, "-c", LOOK, module, backend],
        input=names, capture_output=True, text=True, env={**os.environ, **paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def is_gated(name, found):
    """Whether the code touches a name only with a feature that this package lacks."""
    lacking = {feature: row for feature, row in CAPABILITIES.items() if feature not in found["has"]}
    return name in {row.attribute for row in lacking.values()} or BEHIND.get(name.split(".")[0]) in lacking


def missing(found):
    """Names that are used, are not there, and are not gated."""
    return [name for name in used() if found["docs"][name] is None and not is_gated(name, found)]


def test_every_name_that_is_used_exists_or_is_gated(bindings):
    assert missing(bindings) == []


def test_the_capability_table_is_right(bindings):
    _, _, lacks = WHEELS[bindings["version"]]
    of_tensorrt = {name for name, row in CAPABILITIES.items() if "tensorrt" in row.packages}
    assert set(bindings["has"]) == of_tensorrt - lacks


def test_rtx_has_every_name_that_is_used(rtx):
    found = look("tensorrt_rtx", "rtx", {})
    assert found["version"] == rtx.version
    assert missing(found) == []


def test_names_are_collected_from_the_code():
    """Of each way in which the code uses the package: a flag, a method, a property, a field, what is overridden."""
    names = used()
    assert len(names) > 50
    assert {
        "BuilderFlag.TF32",
        "IBuilderConfig.set_flag",
        "OnnxParser.num_errors",
        "IExecutionContext.set_device_memory",
        "IExecutionContext.set_tensor_address",
        "IProgressMonitor.step_complete",
    } <= set(names)


def test_a_name_that_no_version_has_is_found(tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text(
        "def build(trt, config: tensorrt.IBuilderConfig):\n"
        "    config.max_workspace_size = 1\n"
        "    trt.BuilderFlag.STRICT_TYPES\n"
    )
    assert names_used(file) == {"IBuilderConfig.max_workspace_size", "BuilderFlag.STRICT_TYPES"}


def test_stand_ins_have_no_method_that_tensorrt_has_not(bindings, rtx):
    of_rtx = look("tensorrt_rtx", "rtx", {})
    for name, arguments in simulated().items():
        for found in (bindings, of_rtx):
            if is_gated(name, found):
                continue
            doc = found["docs"][name]
            assert doc is not None, name
            assert arguments in signatures(doc), (name, arguments, doc)


def signatures(doc):
    """The numbers of arguments that a method takes, from what pybind11 writes of it: without `self`."""
    counts = set()
    for text in re.findall(r"\w+\(self: [^)]*\)", doc):
        rest = re.sub(r"\[[^\]]*\]", "", text).split(",")[1:]
        optional = sum("=" in argument for argument in rest)
        counts |= set(range(len(rest) - optional, len(rest) + 1))
    return counts
