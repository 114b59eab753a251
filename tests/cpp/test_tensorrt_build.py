"""A build with native engines links: TensorRT is a stand-in, CUDA's kernel is compiled."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cpp.conftest import ROOT, call, onnxruntime_folder

STAND_IN = ROOT / "cpp" / "tests" / "tensorrt_stand_in"
FOLDER = ROOT / "build" / "cpp-tensorrt"
"""Kept, so that the next run compiles only what changed."""

QUEUE = """
#include "queue.hpp"
#include "stand_in.hpp"
stand_in::Counts stand_in::counts;
void stand_in::queue(cudaStream_t, std::function<void()>) {}
"""
"""What the stand-in for TensorRT needs of that for CUDA, which would hide that CUDA itself is not linked."""


@pytest.fixture(scope="module")
def nvinfer(programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A libnvinfer.so; skips where nvcc is missing."""
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc")
    folder = tmp_path_factory.mktemp("tensorrt")
    (folder / "queue.cpp").write_text(QUEUE)
    call(
        *("nvcc", "-std=c++17", "-shared", "-cudart", "none", "-Xcompiler", "-fPIC", "-I", STAND_IN),
        *(STAND_IN / "tensorrt.cpp", folder / "queue.cpp", "-o", folder / "libnvinfer.so"),
    )
    return folder / "libnvinfer.so"


def test_library_with_native_engines_links(programs, nvinfer):
    call(
        *("cmake", "-S", ROOT, "-B", FOLDER, f"-DONNXRUNTIME_ROOT={onnxruntime_folder()}"),
        *("-DMGHFT_TENSORRT=ON", f"-DTensorRT_INCLUDE_DIR={STAND_IN}", f"-DTensorRT_LIBRARY={nvinfer}"),
        # One GPU and no optimisation, since most of the time here goes into compiling.
        *("-DMGHFT_CUDA_ARCHITECTURES=90", "-DCMAKE_BUILD_TYPE=None", "-DMGHFT_WERROR=ON"),
        "-DCMAKE_SHARED_LINKER_FLAGS=-Wl,--no-undefined",
    )
    call("cmake", "--build", FOLDER, "--parallel", os.cpu_count() or 1, "--target", "mghft")
    found = call("nm", "-DC", FOLDER / "cpp" / "libmghft.so").stdout
    assert "mghft_open" in found
    assert "DevicePreprocessor" not in found  # inside, and hidden as everything is that is no interface
    # The tests on stand-ins would define again what the library has.
    assert "mghft-tensorrt-tests" not in call("cmake", "--build", FOLDER, "--target", "help").stdout


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc")
def test_kernel_is_built_for_common_gpus_where_none_is_named(programs, tmp_path):
    options = (f"-DONNXRUNTIME_ROOT={onnxruntime_folder()}", "-DMGHFT_TESTS=OFF")
    found = call("cmake", "-S", ROOT, "-B", tmp_path, *options).stdout
    for gpu in ("sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90"):
        assert gpu in found
    flags = (tmp_path / "cpp" / "CMakeFiles" / "mghft_cuda.dir" / "flags.make").read_text()
    assert flags.count("code=[compute_") == 1  # PTX of the last one, for GPUs to come
    named = call("cmake", "-S", ROOT, "-B", tmp_path, *options, "-DMGHFT_CUDA_ARCHITECTURES=87").stdout
    assert "for sm_87," in named
