"""A stand-in for `cuda.bindings.runtime`: host memory for the device's, and streams that run late.

What is queued on a stream runs when somebody waits for it, as late as CUDA may. Memory that is freed, or was never
allocated, cannot be touched.
"""

from __future__ import annotations

import ctypes
from enum import Enum, IntEnum
from types import SimpleNamespace


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorStreamCaptureUnsupported = 900


class cudaMemcpyKind(Enum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaStreamCaptureMode(Enum):
    cudaStreamCaptureModeThreadLocal = 1


OK = cudaError_t.cudaSuccess


class StandInCuda:
    cudaError_t = cudaError_t
    cudaMemcpyKind = cudaMemcpyKind
    cudaStreamCaptureMode = cudaStreamCaptureMode
    cudaStreamNonBlocking = 1
    cudaEventDisableTiming = 2

    def __init__(self, *, memory=1 << 30, devices=1):
        self.memory = memory
        self.devices = devices
        self.live = {}  # address -> (kind, buffer)
        self.queues = {}  # stream -> work that has not run yet
        self.captured = {}  # stream -> work of the capture that is under way
        self.events = {}  # event -> (stream, how much of its work the mark is after)
        self.done = {}  # stream -> how much of its work has run
        self.graphs = {}
        self.calls = []
        self._next = 1

    def count(self, name):
        return sum(call == name for call in self.calls)

    # Memory

    def _allocate(self, kind, size):
        self.calls.append(kind)
        if size > self.memory - sum(len(buffer) for _, buffer in self.live.values()):
            return cudaError_t.cudaErrorMemoryAllocation, None
        buffer = (ctypes.c_byte * size)()
        address = ctypes.addressof(buffer)
        self.live[address] = kind, buffer
        return OK, address

    def _free(self, kind, address):
        self.calls.append(f"free {kind}")
        self._synchronize_all()  # as CUDA does
        if self.live.get(address, (None,))[0] != kind:
            return (cudaError_t.cudaErrorInvalidValue,)
        del self.live[address]
        return (OK,)

    def cudaMalloc(self, size):
        return self._allocate("device", size)

    def cudaFree(self, address):
        return self._free("device", address)

    def cudaHostAlloc(self, size, flags):
        return self._allocate("pinned", size)

    def cudaFreeHost(self, address):
        return self._free("pinned", address)

    def require_live(self, address, size, kind):
        assert any(
            start <= address and address + size <= start + len(buffer) and found == kind
            for start, (found, buffer) in self.live.items()
        ), f"{size} bytes at {address} are not {kind} memory"

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        kinds = (
            ("device", "pinned") if kind is cudaMemcpyKind.cudaMemcpyHostToDevice else ("pinned", "device")
        )

        def copy():
            self.require_live(target, size, kinds[0])
            self.require_live(source, size, kinds[1])
            ctypes.memmove(target, source, size)

        self.enqueue(stream, copy)
        return (OK,)

    # Streams and events

    def enqueue(self, stream, work):
        (self.captured[stream] if stream in self.captured else self.queues[stream]).append(work)

    def cudaStreamCreateWithFlags(self, flags):
        self._next += 1
        self.queues[self._next], self.done[self._next] = [], 0
        return OK, self._next

    def cudaStreamSynchronize(self, stream):
        self.calls.append("synchronize")
        self._run(stream, len(self.queues[stream]))
        return (OK,)

    def cudaStreamDestroy(self, stream):
        self._run(stream, len(self.queues.pop(stream, [])))
        return (OK,)

    def _synchronize_all(self):
        for stream in self.queues:
            self._run(stream, len(self.queues[stream]))

    def _run(self, stream, count):
        for _ in range(count):
            self.queues[stream].pop(0)()
            self.done[stream] += 1

    def cudaEventCreateWithFlags(self, flags):
        self._next += 1
        self.events[self._next] = None
        return OK, self._next

    def cudaEventRecord(self, event, stream):
        self.events[event] = stream, self.done[stream] + len(self.queues[stream])
        return (OK,)

    def cudaEventSynchronize(self, event):
        if self.events[event] is not None:
            stream, mark = self.events[event]
            if stream in self.queues:
                self._run(stream, max(mark - self.done[stream], 0))
        return (OK,)

    def cudaEventDestroy(self, event):
        del self.events[event]
        return (OK,)

    # Graphs

    def cudaStreamBeginCapture(self, stream, mode):
        self.calls.append("capture")
        self.captured[stream] = []
        return (OK,)

    def cudaStreamEndCapture(self, stream):
        work = self.captured.pop(stream)
        if None in work:
            return cudaError_t.cudaErrorStreamCaptureUnsupported, None
        return OK, work

    def cudaGraphInstantiate(self, graph, flags):
        self._next += 1
        self.graphs[self._next] = list(graph)
        return OK, self._next

    def cudaGraphDestroy(self, graph):
        return (OK,)

    def cudaGraphLaunch(self, graph, stream):
        self.calls.append("launch")
        for work in self.graphs[graph]:
            self.enqueue(stream, work)
        return (OK,)

    def cudaGraphExecDestroy(self, graph):
        del self.graphs[graph]
        return (OK,)

    # The machine

    def cudaGetDeviceCount(self):
        if not self.devices:
            return cudaError_t.cudaErrorInsufficientDriver, None
        return OK, self.devices

    def cudaDriverGetVersion(self):
        return OK, 13000 if self.devices else 0

    def cudaMemGetInfo(self):
        return OK, self.memory, self.memory

    def cudaGetDeviceProperties(self, device):
        return OK, SimpleNamespace(name=b"Stand-in", major=8, minor=6, integrated=0, multiProcessorCount=8)

    def cudaGetErrorString(self, error):
        return OK, error.name.encode()
