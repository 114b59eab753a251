"""One TensorRT or TensorRT-RTX engine on a GPU, without torch.

The code is the same for TensorRT 10.3 to 11 and TensorRT-RTX, except for CUDA graphs: this module captures TensorRT's
runs, and TensorRT-RTX captures its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mghft_export.engines.backend import Backend
from mghft_export.engines.build_log import BuildLog
from mghft_export.engines.capabilities import has
from mghft_export.errors import EngineError
from mghft_export.runtime.buffers import DeviceBuffer, PinnedBuffer
from mghft_export.runtime.cuda import Cuda, CudaStream
from mghft_export.runtime.engine_runs import EngineRuns
from mghft_export.runtime.profile_choice import Extent, Profile, batch_sizes, choose_profile
from mghft_export.runtime.rtx_cache import RuntimeCache
from mghft_export.runtime.session import (
    Array,
    Device,
    DeviceArray,
    Shape,
    Stream,
    TensorInfo,
    as_inputs,
    require_device_input,
    require_inputs,
)

if TYPE_CHECKING:
    import tensorrt  # for mypy, it stands for both packages


class EngineSession:
    """An engine ready to run.

    Device and pinned buffers are kept from run to run, and grow if a run needs more. From the second run of a set of
    shapes on, a CUDA graph replays it. The work of one session is ordered: if a call uses another stream than the call
    before, it first waits for the earlier stream.

    Args:
        plan: the serialised engine.
        name: the engine's name, for messages.
        backend: the package that built it.
        cuda: the CUDA runtime, from :func:`.cuda.open_cuda`.
        cuda_graphs: launch each set of shapes as one CUDA graph.
        weights: for an engine without weights, the content of the ONNX file that it was built from.
        host_code: allow the engine to bring code that runs on the host, as version-compatible engines do. Allow it only
            for engines of your own.
        cache: where TensorRT-RTX keeps compiled kernels. TensorRT compiles none and ignores it.

    Raises:
        EngineError: the engine is for another version or GPU, or is damaged.
    """

    device: Device = "cuda"

    def __init__(
        self,
        plan: bytes,
        name: str,
        *,
        backend: Backend,
        cuda: Cuda,
        cuda_graphs: bool = True,
        weights: bytes | None = None,
        host_code: bool = False,
        cache: RuntimeCache | None = None,
    ) -> None:
        self._cuda = cuda
        self._name = name
        trt, log = backend.trt, BuildLog(backend.trt)
        self._log = log  # TensorRT keeps no reference to it
        self._runtime: tensorrt.Runtime = trt.Runtime(log.logger)
        if host_code:
            self._runtime.engine_host_code_allowed = True
        self._engine: tensorrt.ICudaEngine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f"the engine {name} cannot be loaded ({log.take_error()}); "
                "build it on this machine with `mghft-export trt`"
            )
        if weights is not None:
            _refit(trt, self._engine, log, weights, name)
        tensors = [self._engine.get_tensor_name(number) for number in range(self._engine.num_io_tensors)]
        is_input = {
            tensor: self._engine.get_tensor_mode(tensor) == trt.TensorIOMode.INPUT for tensor in tensors
        }
        self.inputs = {tensor: self._describe(trt, tensor) for tensor in tensors if is_input[tensor]}
        self.outputs = {tensor: self._describe(trt, tensor) for tensor in tensors if not is_input[tensor]}
        self.profiles = tuple(
            self._profile(number) for number in range(self._engine.num_optimization_profiles)
        )
        make = _context_maker(backend, self._engine, log, cuda_graphs=cuda_graphs, cache=cache)
        self._runs = EngineRuns(
            cuda,
            make,
            log.take_error,
            self._engine.device_memory_size_v2,
            tuple(self.outputs),
            capture=cuda_graphs and backend.name == "tensorrt",
        )
        self._device_buffers = {tensor: DeviceBuffer(cuda) for tensor in tensors}
        self._pinned_buffers = {tensor: PinnedBuffer(cuda) for tensor in tensors}
        self._own_stream: CudaStream | None = None
        self._last_stream: Stream | None = None
        buffers: list[DeviceBuffer | PinnedBuffer] = [
            *self._device_buffers.values(),
            *self._pinned_buffers.values(),
        ]
        self.close: Callable[[], None] = weakref.finalize(self, _release, self._runs, buffers, cache)
        """Give the memory back, and write the kernels that TensorRT-RTX compiled to its cache. It also runs at exit."""

    def batch_sizes(self, shapes: Mapping[str, Shape]) -> tuple[range, ...] | None:
        """The batch sizes of the profiles that take these shapes.

        Raises:
            EngineError: no profile takes them.
        """
        return batch_sizes(self.profiles, shapes)

    def open_stream(self) -> CudaStream:
        """A new stream."""
        return self._cuda.open_stream()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once, from host arrays to host arrays.

        Raises:
            EngineError: the feeds are not what the engine takes, or memory is short.
        """
        if self._own_stream is None:
            self._own_stream = self.open_stream()
        stream = self._own_stream
        return self.download(self.run_device(self.upload(feeds, stream), stream), stream)

    def upload(self, feeds: Mapping[str, Array], stream: Stream | None) -> dict[str, DeviceArray]:
        """Copy inputs to their device buffers, through pinned memory.

        Raises:
            EngineError: an array is not what the engine takes, or memory is short.
        """
        queue = self._ordered(stream)
        found = {}
        for name, host in as_inputs(self.inputs, feeds).items():
            found[name] = self._device_buffers[name].array(host.shape, host.dtype, self)
            self._pinned_buffers[name].send(host, found[name], queue)
        return found

    def run_device(self, feeds: Mapping[str, DeviceArray], stream: Stream | None) -> dict[str, DeviceArray]:
        """Queue one run on a stream. The result is valid once the stream has done the work.

        Raises:
            EngineError: the feeds are not what the engine takes, or memory is short.
        """
        queue = self._ordered(stream)
        require_inputs(self.inputs, set(feeds))
        for name, array in feeds.items():
            require_device_input(array, self.inputs[name], self.device)
        shapes = {name: feeds[name].shape for name in self.inputs}
        run = self._runs.prepare(choose_profile(self.profiles, shapes), shapes, queue)
        outputs = {
            name: self._device_buffers[name].array(run.outputs[name], tensor.dtype, self)
            for name, tensor in self.outputs.items()
        }
        addresses = {name: array.address for name, array in (*feeds.items(), *outputs.items())}
        self._runs.execute(run, addresses, queue)
        return outputs

    def download(self, arrays: Mapping[str, DeviceArray], stream: Stream | None) -> dict[str, Array]:
        """Copy outputs to the host, through pinned memory, and wait for them."""
        queue = self._ordered(stream)
        views = {name: self._pinned_buffers[name].fetch(array, queue) for name, array in arrays.items()}
        queue.synchronize()
        return {name: view.copy() for name, view in views.items()}

    def _ordered(self, stream: Stream | None) -> Stream:
        """Return the stream, after waiting until no other stream uses the buffers."""
        if stream is None:
            raise EngineError("an engine runs on a CUDA stream; open one with open_stream()")
        if self._last_stream is not None and self._last_stream is not stream:
            self._last_stream.synchronize()
        self._last_stream = stream
        return stream

    def _describe(self, trt: Any, name: str) -> TensorInfo:
        shape = tuple(None if size < 0 else int(size) for size in self._engine.get_tensor_shape(name))
        return TensorInfo(name, shape, np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))))

    def _profile(self, number: int) -> Profile:
        shapes = {name: self._engine.get_tensor_profile_shape(name, number) for name in self.inputs}
        return {
            name: Extent(*(tuple(int(size) for size in shape) for shape in three))
            for name, three in shapes.items()
        }


def load_engine(
    path: Path,
    *,
    backend: Backend,
    cuda: Cuda,
    cuda_graphs: bool = True,
    weights: bytes | None = None,
    host_code: bool = False,
    cache: RuntimeCache | None = None,
    sha256: str | None = None,
) -> EngineSession:
    """Open an engine file.

    Args:
        sha256: hash that the loaded bytes must have; None for no check.

    Raises:
        EngineError: the file cannot be read or has another hash, or the engine cannot run here.
    """
    try:
        plan = path.read_bytes()
    except OSError as error:
        raise EngineError(
            f"the engine {path} cannot be read ({error.strerror}); build it with `mghft-export trt`"
        ) from error
    if sha256 is not None and hashlib.sha256(plan).hexdigest() != sha256:
        raise EngineError(f"the engine {path} was changed while it was loaded; run again")
    return EngineSession(
        plan,
        str(path),
        backend=backend,
        cuda=cuda,
        cuda_graphs=cuda_graphs,
        weights=weights,
        host_code=host_code,
        cache=cache,
    )


def _refit(trt: Any, engine: tensorrt.ICudaEngine, log: BuildLog, weights: bytes, name: str) -> None:
    """Put the weights from an ONNX file's content into the engine that was built from it."""
    refitter: tensorrt.Refitter = trt.Refitter(engine, log.logger)
    parser: tensorrt.OnnxParserRefitter = trt.OnnxParserRefitter(refitter, log.logger)
    if not parser.refit_from_bytes(weights) or not refitter.refit_cuda_engine():
        raise EngineError(
            f"the weights of the bundle cannot be put into {name} ({log.take_error()}); "
            "build it without --strip-weights"
        )


def _context_maker(
    backend: Backend,
    engine: tensorrt.ICudaEngine,
    log: BuildLog,
    *,
    cuda_graphs: bool,
    cache: RuntimeCache | None,
) -> Callable[[], tensorrt.IExecutionContext]:
    """A function that creates execution contexts. The session gives them their activation memory."""
    argument: Any = backend.trt.ExecutionContextAllocationStrategy.USER_MANAGED
    if has(backend, "runtime_cache"):
        config: tensorrt.IRuntimeConfig = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(argument)
        if cuda_graphs and has(backend, "cuda_graph_strategy"):
            config.cuda_graph_strategy = backend.trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        if cache is not None:
            cache.attach(config)
        argument = config

    def make() -> tensorrt.IExecutionContext:
        context: tensorrt.IExecutionContext | None = engine.create_execution_context(argument)
        if context is None:
            raise EngineError(
                f"no execution context can be made for the engine ({log.take_error()}), most likely for want of GPU "
                "memory; close what else uses it, or build the engine with smaller --batch"
            )
        return context

    return make


def _release(
    runs: EngineRuns, buffers: list[DeviceBuffer | PinnedBuffer], cache: RuntimeCache | None
) -> None:
    if cache is not None:
        cache.save()
    # After the GPU failed nothing can be freed; the driver frees the memory when the process ends.
    with contextlib.suppress(EngineError):
        runs.free()
        for buffer in buffers:
            buffer.free()
