"""The capability table against both packages: TensorRT-RTX as installed, TensorRT 10.13 as its type stubs have it."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from mghft_export.engines.backend import Backend
from mghft_export.engines.capabilities import CAPABILITIES, has, refit_warning, require
from mghft_export.engines.gpu import NoGpu
from mghft_export.errors import EngineError

NO_GPU = NoGpu("no driver")

STUBS_CONFIG = """
[mypy]
python_version = 3.10
strict = true
follow_imports = skip
ignore_missing_imports = true
disallow_any_generics = false
disallow_subclassing_any = false
disallow_untyped_decorators = false
warn_return_any = false
warn_unused_ignores = false
[mypy-mghft_export.engines.*]
follow_imports = normal
[mypy-tensorrt.*,tensorrt_bindings.*]
follow_imports = normal
ignore_errors = true
"""


def test_rtx_has_what_the_table_says(rtx):
    for feature, row in CAPABILITIES.items():
        assert has(rtx, feature) == ("rtx" in row.packages), feature


def test_rtx_cannot_build_for_later_versions(rtx):
    """The row says TensorRT only, though the flag is there: the wheel has no lean runtime."""
    trt = rtx.trt
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    x = network.add_input("x", trt.float32, (4,))
    network.mark_output(network.add_identity(x).get_output(0))
    config = builder.create_builder_config()
    config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    assert builder.build_serialized_network(network, config) is None


def test_rtx_documents_its_timing_cache_as_doing_nothing(rtx):
    config = rtx.trt.Builder(rtx.trt.Logger(rtx.trt.Logger.INTERNAL_ERROR)).create_builder_config()
    with pytest.warns(DeprecationWarning, match="no-ops"):
        config.set_timing_cache(config.create_timing_cache(b""), False)


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    """tensorrt-stubs, made readable: three signatures in it are not Python."""
    site = Path(sysconfig.get_paths()["purelib"])
    source = site / "tensorrt_bindings" / "tensorrt.pyi"
    if not source.is_file() or not (site / "tensorrt" / "__init__.pyi").is_file():
        pytest.skip("pip install --no-deps tensorrt-stubs")
    root = tmp_path_factory.mktemp("stubs")
    for name in ("tensorrt", "tensorrt_bindings"):
        (root / name).mkdir()
        for file in (site / name).glob("*.pyi"):
            text = re.sub(r"\bin: ", "in_: ", file.read_text(encoding="utf-8"))
            text = text.replace(
                "power: Weights = None, channel_axis: int)", "power: Weights = None, channel_axis: int = ...)"
            )
            (root / name / file.name).write_text(text, encoding="utf-8")
    return root


def test_tensorrt_has_what_the_table_says_and_the_code_uses_it_rightly(stubs, tmp_path):
    """mypy reads engines/ and every attribute of the table with TensorRT 10.13's types."""
    (tmp_path / "mypy.ini").write_text(STUBS_CONFIG)
    lines = ["import tensorrt as trt", *(f"trt.{row.attribute}" for row in CAPABILITIES.values())]
    (tmp_path / "probe.py").write_text("\n".join(lines))
    package = Path(__file__).parents[2] / "mghft_export" / "engines"
    command = [sys.executable, "-m", "mypy", "--config-file", str(tmp_path / "mypy.ini")]
    command += ["--cache-dir", str(tmp_path / "cache"), str(tmp_path / "probe.py"), str(package)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=package.parents[1], env={"MYPYPATH": str(stubs)}
    )
    missing, others = set(), []
    for line in done.stdout.splitlines():
        if found := re.search(r"probe\.py:\d+: error: \"type\[(\w+)\]\" has no attribute \"(\w+)\"", line):
            missing.add(f"{found[1]}.{found[2]}")
        elif ": error:" in line:
            others.append(line)
    assert others == [], done.stdout
    assert missing == {row.attribute for row in CAPABILITIES.values() if "tensorrt" not in row.packages}


def test_options_that_a_package_lacks_are_refused_before_the_build(rtx):
    with pytest.raises(
        EngineError, match=r"only TensorRT can do this: .*--version-compatible.*--backend tensorrt"
    ):
        require(rtx, "version_compatible", NO_GPU)
    with pytest.raises(EngineError, match=r"--refittable\) only where there is a GPU \(no driver\)"):
        require(rtx, "refit", NO_GPU)
    old = Backend("tensorrt", "10.0.1", type(sys)("tensorrt"))
    with pytest.raises(EngineError, match=r"TensorRT 10\.0\.1 cannot do this: --hardware-compatible same-sm"):
        require(old, "same_sm", NO_GPU)
    with pytest.raises(EngineError, match=r"only TensorRT-RTX can do this: .*--target.*--backend rtx"):
        require(old, "targets", NO_GPU)


def test_a_version_that_warns_of_refittable_engines_is_passed_on(rtx):
    trt = type(sys)("tensorrt")
    assert refit_warning(rtx) is None
    assert refit_warning(Backend("tensorrt", "10.13.3.9", trt)) is None
    assert refit_warning(Backend("tensorrt", "11.1.0.106", trt)) is None
    for version in ("11.3.0.99", "11.4.0.106", "12.0.0.1"):
        assert f"TensorRT {version} that is built with --refittable can lose a bias" in refit_warning(
            Backend("tensorrt", version, trt)
        )


def test_rtx_without_a_gpu_cannot_make_what_the_table_says_needs_one(rtx, full_bundle, plan):
    for option in ("refittable", "strip_weights"):
        with pytest.raises(EngineError, match="only where there is a GPU"):
            plan(full_bundle, "fusion", **{option: True})
