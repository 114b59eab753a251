"""The few calls of the CUDA runtime that are needed to run an engine, with errors that people can read.

cuda-python is imported when a GPU is opened, not before.
"""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable
from typing import Any

from mghft_export.engines.gpu import Gpu, NoGpu, find_gpu
from mghft_export.errors import EngineError
from mghft_export.runtime.session import Stream


class DeviceMemoryError(EngineError):
    """The GPU's memory, or the memory it shares with the host, is full."""


class Cuda:
    """CUDA's runtime on the current device.

    Args:
        runtime: `cuda.bindings.runtime`. Its functions return an error code and then their results.
    """

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime

    def allocate(self, size: int) -> int:
        """Allocate device memory, and return its address.

        Raises:
            DeviceMemoryError: too little memory is free.
        """
        return int(self._allocated(self._runtime.cudaMalloc(size), size, "GPU"))

    def free(self, address: int) -> None:
        """Give device memory back; CUDA first waits for the work that may use it."""
        self._call("cudaFree", address)

    def allocate_pinned(self, size: int) -> int:
        """Allocate pinned host memory, which the GPU can copy from and to in the background, and return its address.

        Raises:
            DeviceMemoryError: too little memory is free.
        """
        return int(self._allocated(self._runtime.cudaHostAlloc(size, 0), size, "pinned host"))

    def free_pinned(self, address: int) -> None:
        """Give pinned memory back."""
        self._call("cudaFreeHost", address)

    def copy_to_device(self, target: int, source: int, size: int, stream: Stream) -> None:
        """Copy from pinned memory to the device, on a stream."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", target, source, size, kind, stream.handle)

    def copy_to_host(self, target: int, source: int, size: int, stream: Stream) -> None:
        """Copy from the device to pinned memory, on a stream."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", target, source, size, kind, stream.handle)

    def open_stream(self) -> CudaStream:
        """Open a stream that does not wait for the default stream."""
        created = self._call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)
        return CudaStream(self, int(created))

    def synchronize(self, stream: Stream) -> None:
        """Wait for the work on a stream."""
        self._call("cudaStreamSynchronize", stream.handle)

    def destroy_stream(self, handle: int) -> None:
        """Close a stream."""
        self._call("cudaStreamDestroy", handle)

    def open_event(self) -> Any:
        """Create an event: a mark in a stream's queue of work."""
        return self._call("cudaEventCreateWithFlags", self._runtime.cudaEventDisableTiming)

    def record(self, event: Any, stream: Stream) -> None:
        """Put the event after the work queued so far."""
        self._call("cudaEventRecord", event, stream.handle)

    def wait(self, event: Any) -> None:
        """Wait on the host until the stream has passed the event. An event that was never recorded does not wait."""
        self._call("cudaEventSynchronize", event)

    def destroy_event(self, event: Any) -> None:
        """Close an event."""
        self._call("cudaEventDestroy", event)

    def capture(self, stream: Stream, enqueue: Callable[[], None]) -> Any:
        """Capture the work that a function queues on a stream as a graph, without running it.

        Raises:
            EngineError: the work cannot be captured.
        """
        # Other threads may allocate memory meanwhile: only this thread is limited to what a capture allows.
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream.handle, mode)
        try:
            enqueue()
        finally:
            error, graph = self._runtime.cudaStreamEndCapture(stream.handle)
        self._check(error, "cudaStreamEndCapture")
        try:
            return self._call("cudaGraphInstantiate", graph, 0)
        finally:
            self._call("cudaGraphDestroy", graph)

    def launch(self, graph: Any, stream: Stream) -> None:
        """Run a captured graph."""
        self._call("cudaGraphLaunch", graph, stream.handle)

    def destroy_graph(self, graph: Any) -> None:
        """Destroy a captured graph."""
        self._call("cudaGraphExecDestroy", graph)

    def _call(self, function: str, *arguments: Any) -> Any:
        error, *results = getattr(self._runtime, function)(*arguments)
        self._check(error, function)
        return results[0] if results else None

    def _allocated(self, answer: tuple[Any, Any], size: int, what: str) -> Any:
        error, address = answer
        if error == self._runtime.cudaError_t.cudaErrorMemoryAllocation:
            raise DeviceMemoryError(
                f"{size / 2**20:.0f} MiB of {what} memory cannot be had; run a smaller batch, "
                "or close what else uses the memory"
            )
        self._check(error, "allocation")
        return address

    def _check(self, error: Any, function: str) -> None:
        if error != self._runtime.cudaError_t.cudaSuccess:
            raise EngineError(
                f"the GPU failed in {function} ({reason(self._runtime, error)}); look at nvidia-smi or dmesg, "
                "and run again"
            )


class CudaStream:
    """A stream. It is closed with the last reference to it."""

    def __init__(self, cuda: Cuda, handle: int) -> None:
        self._cuda = cuda
        self._handle = handle
        weakref.finalize(self, cuda.destroy_stream, handle)

    @property
    def handle(self) -> int:
        """The CUDA stream."""
        return self._handle

    def synchronize(self) -> None:
        """Wait for all work queued so far."""
        self._cuda.synchronize(self)


def open_cuda(runtime: Any = None) -> tuple[Cuda, Gpu]:
    """Open CUDA's runtime, and describe the GPU that it runs on.

    Args:
        runtime: `cuda.bindings.runtime`; imported by default.

    Raises:
        EngineError: there is no GPU, its driver is missing or too old, or cuda-python is not installed.
    """
    gpu = find_gpu(runtime)
    if isinstance(gpu, NoGpu):
        raise EngineError(
            f"running an engine needs an NVIDIA GPU, and none can be used here ({gpu.reason}); "
            "leave out --engine to run with ONNX Runtime"
        )
    return Cuda(runtime or importlib.import_module("cuda.bindings.runtime")), gpu


def reason(runtime: Any, error: Any) -> str:
    """CUDA's description of an error code."""
    _, text = runtime.cudaGetErrorString(error)
    return text.decode() if isinstance(text, bytes) else str(text)
