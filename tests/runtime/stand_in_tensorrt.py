"""A stand-in for the module `tensorrt` or `tensorrt_rtx` with one engine, that doubles numbers.

It stands for no network: it shows whether the session gives an engine the right memory, shapes, profile and stream.
"""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace

import numpy as np

from mghft_export.engines.backend import Backend
from mghft_export.runtime.session import array_at

PROFILES = [((1, 3), (1, 3), (1, 3)), ((2, 3), (4, 3), (8, 3))]
"""Of the input `x`: latency at a batch of 1, and throughput."""

ACTIVATIONS = 256


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class ILogger:
    class Severity(Enum):
        INTERNAL_ERROR = 0
        ERROR = 1


class Strategy(Enum):
    USER_MANAGED = 2


class Context:
    def __init__(self, engine):
        self.engine = engine
        self.profile = self.shape = self.memory = None
        self.addresses = {}
        self.pending = True  # TensorRT has deferred work after a change, which must not be captured

    def set_device_memory(self, address, size):
        assert size >= self.engine.device_memory_size_v2
        self.memory = address

    def set_optimization_profile_async(self, profile, stream):
        self.profile = profile
        return True

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)
        if self.engine.refuse("shape"):
            return False
        low, _, high = self.engine.profiles[self.profile]
        return all(a <= size <= b for a, size, b in zip(low, shape, high, strict=True))

    def infer_shapes(self):
        return []

    def get_tensor_shape(self, name):
        return self.shape

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        self.pending = True
        return True

    def execute_async_v3(self, stream):
        cuda = self.engine.cuda
        if self.engine.refuse("run"):
            return False
        capturing = stream in cuda.captured
        if capturing and (self.pending or not self.engine.capturable):
            cuda.enqueue(stream, None)
            return True
        self.pending = False
        self.engine.enqueued += 1
        addresses, shape = dict(self.addresses), self.shape

        def double():
            size = int(np.prod(shape))
            cuda.require_live(self.memory, ACTIVATIONS, "device")
            cuda.require_live(addresses["x"], 2 * size, "device")
            cuda.require_live(addresses["y"], 4 * size, "device")
            x = array_at(addresses["x"], shape, np.dtype(np.float16))
            array_at(addresses["y"], shape, np.dtype(np.float32))[...] = 2 * x.astype(np.float32)

        cuda.enqueue(stream, double)
        return True


class RuntimeCache:
    def __init__(self):
        self.content = b"compiled:"

    def deserialize(self, blob):
        if not blob.startswith(b"compiled:"):
            return False
        self.content = blob
        return True

    def serialize(self):
        return self.content


class IRuntimeConfig:
    cuda_graph_strategy = None

    def create_runtime_cache(self):
        return RuntimeCache()

    def set_runtime_cache(self, cache):
        self.cache = cache
        return True

    def set_execution_context_allocation_strategy(self, strategy):
        self.strategy = strategy


class Engine:
    num_io_tensors = 2
    device_memory_size_v2 = ACTIVATIONS

    def __init__(self, cuda, *, profiles=PROFILES, capturable=True):
        self.cuda = cuda
        self.profiles = profiles
        self.num_optimization_profiles = len(profiles)
        self.capturable = capturable
        self.contexts = []
        self.enqueued = 0
        self.config = self.weights = None
        self.refuses = []  # what does not work, once each
        self.gives_reasons = True
        self.logger = None

    def refuse(self, what):
        """Whether this does not work now."""
        if self.refuses[:1] != [what]:
            return False
        self.refuses.pop(0)
        if self.gives_reasons:
            self.logger.log(ILogger.Severity.ERROR, f"the reason for the {what}\nand more of it")
        return True

    def get_tensor_name(self, number):
        return ("x", "y")[number]

    def get_tensor_mode(self, name):
        return TensorIOMode.INPUT if name == "x" else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name):
        return (-1, 3)

    def get_tensor_dtype(self, name):
        return np.float16 if name == "x" else np.float32

    def get_tensor_profile_shape(self, name, number):
        return list(self.profiles[number])

    def create_runtime_config(self):
        self.config = IRuntimeConfig()
        return self.config

    def create_execution_context(self, argument):
        if self.refuse("context"):
            return None
        assert argument is Strategy.USER_MANAGED or argument.strategy is Strategy.USER_MANAGED
        if argument is self.config:
            self.config.cache.content += b"kernel"
        self.contexts.append(Context(self))
        return self.contexts[-1]


def stand_in_backend(name, engine):
    """The package, whose runtime loads this engine from the plan `b"plan"` and refuses everything else."""

    class Runtime:
        def __init__(self, logger):
            self.logger = engine.logger = logger

        def deserialize_cuda_engine(self, plan):
            if plan != b"plan":
                self.logger.log(ILogger.Severity.ERROR, "stale engine: version tag does not match")
                return None
            return engine

    class Refitter:
        def __init__(self, refitted, logger):
            assert refitted is engine

        def refit_cuda_engine(self):
            return engine.weights is not None

    class OnnxParserRefitter:
        def __init__(self, refitter, logger):
            self.logger = logger

        def refit_from_bytes(self, model):
            if model != b"of the vision branch":
                self.logger.log(ILogger.Severity.ERROR, "weights have other names")
                return False
            engine.weights = model
            return True

    trt = SimpleNamespace(
        Refitter=Refitter,
        OnnxParserRefitter=OnnxParserRefitter,
        ILogger=ILogger,
        Runtime=Runtime,
        TensorIOMode=TensorIOMode,
        ExecutionContextAllocationStrategy=Strategy,
        nptype=lambda dtype: dtype,
    )
    if name == "rtx":
        trt.IRuntimeConfig = IRuntimeConfig
        trt.CudaGraphStrategy = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole")
    return Backend(name, "0", trt)
