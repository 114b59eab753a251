"""What is known of a GPU, through CUDA's runtime API as cuda-bindings has it."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from mghft_export.engines.backend import Backend
from mghft_export.engines.gpu import Gpu, NoGpu, find_gpu
from mghft_export.engines.timing_cache import timing_cache_path
from mghft_export.errors import EngineError
from mghft_export.runtime.cuda import open_cuda


def runtime(*, error=0, count=1, integrated=0, driver=13000):
    """A CUDA runtime with one GPU."""
    properties = SimpleNamespace(
        name=b"NVIDIA GeForce RTX 4090", major=8, minor=9, integrated=integrated, multiProcessorCount=128
    )
    return SimpleNamespace(
        cudaError_t=SimpleNamespace(cudaSuccess=0, cudaErrorInsufficientDriver=35),
        cudaGetDeviceCount=lambda: (error, count),
        cudaGetDeviceProperties=lambda device: (0, properties),
        cudaMemGetInfo=lambda: (0, 20 * 2**30, 24 * 2**30),
        cudaDriverGetVersion=lambda: (0, driver),
        cudaGetErrorString=lambda code: (0, b"no CUDA-capable device is detected"),
    )


def test_a_gpu_is_described():
    gpu = find_gpu(runtime())
    assert gpu == Gpu(
        "NVIDIA GeForce RTX 4090", 89, 20 * 2**30, "13.0", multiprocessors=128, memory=24 * 2**30
    )
    assert gpu.slug == "nvidia-geforce-rtx-4090"


def test_memory_shared_with_the_host_is_what_the_host_can_give():
    assert find_gpu(runtime(integrated=1)).free == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_a_driver_that_cannot_be_loaded_is_no_gpu():
    """So says cuda-bindings 12.8 where there is no driver: in a container that was started without the GPU."""
    without = runtime()

    def fail():
        raise RuntimeError("Failed to dlopen libcuda.so.1")

    without.cudaGetDeviceCount = fail
    assert "no GPU driver" in find_gpu(without).reason
    with pytest.raises(EngineError, match=r"no GPU driver.*libcuda\.so\.1.*leave out --engine"):
        open_cuda(without)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"error": 35, "driver": 0}, "there is no GPU driver"),
        ({"error": 35, "driver": 12040}, "for CUDA 12.4, older than"),
        ({"error": 100}, "no CUDA-capable device"),
        ({"count": 0}, "no device"),
    ],
)
def test_no_gpu_says_why(fields, words):
    found = find_gpu(runtime(**fields))
    assert isinstance(found, NoGpu)
    assert words in found.reason


def test_timing_caches_are_kept_apart_by_version_and_gpu(tmp_path, monkeypatch, rtx, ada):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tensorrt = Backend("tensorrt", "10.13.0", rtx.trt)
    path = timing_cache_path(tensorrt, ada)
    assert path.name == "tensorrt-10.13.0-nvidia-geforce-rtx-4090-sm89-128mp.cache"
    assert timing_cache_path(rtx, ada) is None
