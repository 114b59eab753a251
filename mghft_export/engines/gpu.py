"""The properties of this machine's GPU that engines depend on, read without torch."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from typing import Any

import psutil


@dataclass(frozen=True)
class Gpu:
    """The GPU that an engine is built for.

    Attributes:
        name: the driver's name for it.
        sm: compute capability without the dot, for example 86.
        free: bytes of memory that are free now.
        driver: newest CUDA version that the driver supports, for example `13.0`.
        multiprocessors: number of multiprocessors. Every Jetson Orin is named "Orin", and the models differ in this.
        memory: total bytes of memory; on a Jetson the host's memory, less what the system keeps.
    """

    name: str
    sm: int
    free: int
    driver: str
    multiprocessors: int
    memory: int

    @property
    def slug(self) -> str:
        """The name as a part of a file name."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@dataclass(frozen=True)
class NoGpu:
    """Why no GPU can be used, in words that fit into brackets."""

    reason: str


def find_gpu(runtime: Any = None) -> Gpu | NoGpu:
    """The first GPU that CUDA lists.

    Args:
        runtime: `cuda.bindings.runtime`; imported by default.
    """
    if runtime is None:
        try:
            runtime = importlib.import_module("cuda.bindings.runtime")
        except ImportError:
            return NoGpu("cuda-bindings is not installed: pip install cuda-bindings")
    try:
        error, count = runtime.cudaGetDeviceCount()
    except RuntimeError as failure:  # cuda-bindings 12 loads the driver's library with its first call
        return NoGpu(f"there is no GPU driver, or the container was started without the GPU: {failure}")
    if error == runtime.cudaError_t.cudaSuccess and not count:
        return NoGpu("CUDA shows no device")
    results = []
    for function, arguments in (
        ("cudaGetDeviceProperties", (0,)),
        ("cudaMemGetInfo", ()),
        ("cudaDriverGetVersion", ()),
    ):
        if error == runtime.cudaError_t.cudaSuccess:
            error, *found = getattr(runtime, function)(*arguments)
            results.append(found)
    if error != runtime.cudaError_t.cudaSuccess:
        return NoGpu(_reason(runtime, error))
    (properties,), (free, memory), (driver,) = results
    if properties.integrated:  # Jetson: CUDA does not count memory that the kernel would release
        free = psutil.virtual_memory().available
    name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
    return Gpu(
        name=name,
        sm=10 * properties.major + properties.minor,
        free=int(free),
        driver=f"{driver // 1000}.{driver % 1000 // 10}",
        multiprocessors=int(properties.multiProcessorCount),
        memory=int(memory),
    )


def _reason(runtime: Any, error: Any) -> str:
    if error == runtime.cudaError_t.cudaErrorInsufficientDriver:
        _, driver = runtime.cudaDriverGetVersion()
        if not driver:
            return "there is no GPU driver"
        return f"the GPU driver is for CUDA {driver // 1000}.{driver % 1000 // 10}, older than the installed packages"
    text = runtime.cudaGetErrorString(error)[1]
    return text.decode() if isinstance(text, bytes) else str(text)
