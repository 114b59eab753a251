"""Time the steps of a run on a GPU separately: upload, compute, download. Not run yet: needs a GPU.

CUDA events time the work on the device itself, without what the host does meanwhile.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mghft_export.errors import EngineError
from mghft_export.runtime.session import Stream

ENQUEUE_BOUND = 0.9
"""If queueing takes at least this share of the compute time, the host sets the pace and not the GPU."""


@dataclass(frozen=True)
class GpuTimes:
    """Medians in milliseconds.

    Attributes:
        h2d: copying inputs from pinned memory to the device.
        compute: computing on the device.
        d2h: copying outputs to pinned memory.
        enqueue: queueing the compute on the host.
    """

    h2d: float
    compute: float
    d2h: float
    enqueue: float

    @property
    def enqueue_bound(self) -> bool:
        """Whether the GPU waits for the host; CUDA graphs help then."""
        return self.enqueue >= ENQUEUE_BOUND * self.compute


def median_times(samples: Sequence[GpuTimes]) -> GpuTimes:
    """The median of each step."""
    return GpuTimes(
        *(
            float(np.median([getattr(sample, step) for sample in samples]))
            for step in ("h2d", "compute", "d2h", "enqueue")
        )
    )


class StepClock:
    """Times three steps that queue work on one stream.

    Args:
        runtime: `cuda.bindings.runtime`; imported by default.
    """

    def __init__(self, stream: Stream, runtime: Any = None) -> None:
        self._runtime = runtime or importlib.import_module("cuda.bindings.runtime")
        self._stream = stream
        self._events = [self._call("cudaEventCreate") for _ in range(4)]

    def time(
        self, upload: Callable[[], object], compute: Callable[[], object], download: Callable[[], object]
    ) -> GpuTimes:
        """Run the steps once.

        Raises:
            EngineError: CUDA reports an error.
        """
        self._record(0)
        upload()
        self._record(1)
        queued = time.perf_counter()
        compute()
        enqueue = (time.perf_counter() - queued) * 1e3
        self._record(2)
        download()
        self._record(3)
        self._call("cudaEventSynchronize", self._events[3])
        h2d, on_device, d2h = (
            float(self._call("cudaEventElapsedTime", self._events[number], self._events[number + 1]))
            for number in range(3)
        )
        return GpuTimes(h2d, on_device, d2h, enqueue)

    def close(self) -> None:
        """Free the events."""
        for event in self._events:
            self._call("cudaEventDestroy", event)
        self._events = []

    def _record(self, number: int) -> None:
        self._call("cudaEventRecord", self._events[number], self._stream.handle)

    def _call(self, function: str, *arguments: Any) -> Any:
        error, *results = getattr(self._runtime, function)(*arguments)
        if error != self._runtime.cudaError_t.cudaSuccess:
            raise EngineError(f"the GPU failed in {function} ({error}); look at nvidia-smi, and run again")
        return results[0] if results else None
