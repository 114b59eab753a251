"""Execution contexts of one engine, one for each set of input shapes, and their CUDA graphs.

A graph holds the shapes and addresses that it was captured with, and a change of a context invalidates the graph that
was captured from it. So each set of shapes has its own context. The contexts share one block of activation memory,
since a session runs only one of them at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mghft_export.errors import EngineError
from mghft_export.runtime.buffers import DeviceBuffer
from mghft_export.runtime.cuda import Cuda
from mghft_export.runtime.session import Shape, Stream

if TYPE_CHECKING:
    import tensorrt

MOST_CONTEXTS = 8
"""Most sets of shapes that are kept ready. A context holds megabytes in addition to the shared memory."""

Key = tuple[int, tuple[tuple[str, Shape], ...]]
"""A profile, and the input shapes."""


@dataclass
class Run:
    """A context with its shapes set.

    Attributes:
        outputs: shapes by name.
        addresses: addresses of inputs and outputs that are set in the context.
        warm: whether the context has run with these addresses, so that TensorRT has no deferred work left.
        graph: the CUDA graph that was captured with these addresses; None if there is none.
        capturable: False after a capture failed.
    """

    context: tensorrt.IExecutionContext
    outputs: dict[str, Shape]
    addresses: dict[str, int]
    warm: bool = False
    graph: Any = None
    capturable: bool = True


class EngineRuns:
    """Makes, keeps and runs the contexts of an engine.

    Args:
        create_context: creates an execution context without activation memory.
        reason: returns TensorRT's last error, for messages.
        memory: bytes of activation memory that are enough for every shape of the engine.
        capture: whether to capture CUDA graphs here. TensorRT-RTX captures them itself.
    """

    def __init__(
        self,
        cuda: Cuda,
        create_context: Callable[[], tensorrt.IExecutionContext],
        reason: Callable[[], str],
        memory: int,
        outputs: tuple[str, ...],
        *,
        capture: bool,
    ) -> None:
        self._cuda = cuda
        self._create_context = create_context
        self._reason = reason
        self._memory_size = memory
        self._memory = DeviceBuffer(cuda)
        self._outputs = outputs
        self._capture = capture
        self._runs: OrderedDict[Key, Run] = OrderedDict()

    def prepare(self, profile: int, shapes: Mapping[str, Shape], stream: Stream) -> Run:
        """The context for a profile and input shapes. It is created if there is none.

        Raises:
            EngineError: TensorRT refuses the shapes, or memory is short.
        """
        key = profile, tuple(sorted(shapes.items()))
        if key in self._runs:
            self._runs.move_to_end(key)
            return self._runs[key]
        context: tensorrt.IExecutionContext = self._create_context()
        address = self._memory.reserve(max(self._memory_size, 1))
        context.set_device_memory(address, self._memory_size)
        self._require(context.set_optimization_profile_async(profile, stream.handle), f"profile {profile}")
        for name, shape in shapes.items():
            self._require(context.set_input_shape(name, shape), f"{name} {list(shape)}")
        missing = context.infer_shapes()
        self._require(not missing, ", ".join(missing))
        outputs = {name: tuple(context.get_tensor_shape(name)) for name in self._outputs}
        self._runs[key] = Run(context, outputs, {})
        if len(self._runs) > MOST_CONTEXTS:
            stream.synchronize()  # the oldest may still be running
            self._forget(self._runs.popitem(last=False)[1])
        return self._runs[key]

    def execute(self, run: Run, addresses: dict[str, int], stream: Stream) -> None:
        """Queue one run. As long as the addresses stay the same, the second run and later ones are a captured graph.

        Raises:
            EngineError: TensorRT cannot queue the work.
        """
        if addresses != run.addresses:
            self._drop_graph(run, stream)
            run.addresses = {}  # if one is refused, none counts as set
            for name, address in addresses.items():
                self._require(run.context.set_tensor_address(name, address), f"the address of {name}")
            run.addresses, run.warm = dict(addresses), False
        if self._capture and run.capturable and run.warm and run.graph is None:
            self._try_capture(run, stream)
        if run.graph is not None:
            self._cuda.launch(run.graph, stream)
        else:
            self._enqueue(run, stream)
            run.warm = True

    def free(self) -> None:
        """Destroy contexts and graphs, and give the activation memory back."""
        while self._runs:
            self._forget(self._runs.popitem()[1])
        self._memory.free()

    def _enqueue(self, run: Run, stream: Stream) -> None:
        if not run.context.execute_async_v3(stream.handle):
            raise EngineError(
                f"TensorRT could not queue the engine ({self._reason()}); build it again with `mghft-export trt`"
            )

    def _try_capture(self, run: Run, stream: Stream) -> None:
        try:
            run.graph = self._cuda.capture(stream, lambda: self._enqueue(run, stream))
        except EngineError:
            # Some layers cannot be captured. The context stays usable, so it runs without a graph from now on.
            run.capturable = False
            self._reason()  # drop the capture's error, so that no later failure reports it

    def _drop_graph(self, run: Run, stream: Stream) -> None:
        if run.graph is not None:
            stream.synchronize()
            self._cuda.destroy_graph(run.graph)
            run.graph = None

    def _forget(self, run: Run) -> None:
        if run.graph is not None:
            self._cuda.destroy_graph(run.graph)
        run.graph = None

    def _require(self, done: Any, what: str) -> None:
        if not done:
            raise EngineError(
                f"TensorRT refuses {what} ({self._reason()}); build the engine again with `mghft-export trt`"
            )
