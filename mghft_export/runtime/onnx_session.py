"""One graph in ONNX Runtime, on the CPU or through its CUDA and TensorRT providers."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mghft_export.engines.min_opt_max import MinOptMax
from mghft_export.errors import BundleError, MGHFTError
from mghft_export.runtime.onnx_providers import PROVIDERS, provider_chain
from mghft_export.runtime.onnx_weights import without_weights
from mghft_export.runtime.session import (
    Array,
    Device,
    DeviceArray,
    Shape,
    Stream,
    TensorInfo,
    array_at,
    as_inputs,
    require_device_input,
    require_inputs,
)

WARNING, FATAL = 2, 4
"""ONNX Runtime's log levels: its default, and the one at which it prints only fatal errors. Other errors are raised."""


@contextlib.contextmanager
def _quiet_providers() -> Iterator[None]:
    """Silence what providers print that cannot start; the error says it.

    They print through a logger that all sessions of the process share, so its level goes back to the default.
    """
    onnxruntime.set_default_logger_severity(FATAL)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(WARNING)


class OnnxSession:
    """A graph ready to run.

    :meth:`run_device` does not copy the arrays. ONNX Runtime works on its own stream, so the method first waits for the
    stream that it is given, and the run is done when it returns.

    Args:
        path: the ONNX file, or a serialised model.
        provider: `cpu`, `cuda` or `tensorrt`.
        threads: CPU threads of one operator; all cores by default.
        sizes: minimum, optimum and maximum of each dynamic dimension, for the TensorRT provider.

    Raises:
        MGHFTError: the provider is not usable on this machine.
        BundleError: ONNX Runtime cannot load the file.
    """

    def __init__(
        self,
        path: Path | bytes,
        *,
        provider: str = "cpu",
        threads: int | None = None,
        sizes: Mapping[str, MinOptMax] | None = None,
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL
        # Threads that spin after a run would take the cores from the next branch's session.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Threads would also spin for some 20 ms after the session is created, while other sessions are being created.
        options.add_session_config_entry("session.intra_op.spin_duration_us", "1000")
        if threads is not None:
            options.intra_op_num_threads = threads
        chain = provider_chain(
            provider, _input_shapes(path) if provider == "tensorrt" and sizes else {}, sizes or {}
        )
        try:
            with _quiet_providers() if provider != "cpu" else contextlib.nullcontext():
                # Without `enable_fallback=0` a provider that cannot start is replaced by the CPU.
                self._session = onnxruntime.InferenceSession(
                    _model(path, provider, options), options, providers=chain, enable_fallback=0
                )
        except Exception as error:  # ONNX Runtime's exceptions have no other common base
            reason = str(error).splitlines()[0]
            if provider != "cpu":
                raise _no_provider(provider, reason) from error
            name = "the graph" if isinstance(path, bytes) else str(path)
            raise BundleError(f"ONNX Runtime cannot load {name}: {reason}") from error
        if PROVIDERS[provider] not in self._session.get_providers():
            raise _no_provider(provider, "it was not started")
        self.device: Device = "cpu" if provider == "cpu" else "cuda"
        self.inputs = {item.name: _describe(item) for item in self._session.get_inputs()}
        self.outputs = {item.name: _describe(item) for item in self._session.get_outputs()}

    def batch_sizes(self, shapes: Mapping[str, Shape]) -> tuple[range, ...] | None:
        """None: any batch runs."""
        return None

    def open_stream(self) -> Stream | None:
        """None: ONNX Runtime has its own streams."""
        return None

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; arrays by input name in, arrays by output name out.

        A graph with FP16 inputs takes float32 arrays as well.

        Raises:
            MGHFTError: the feeds are not what the graph takes.
        """
        require_inputs(self.inputs, set(feeds))
        arrays = as_inputs(self.inputs, feeds)
        return dict(zip(self.outputs, self._session.run(None, arrays), strict=True))

    def upload(self, feeds: Mapping[str, Array], stream: Stream | None = None) -> dict[str, DeviceArray]:
        """Copy inputs, or some of them, to the device. On the CPU the arrays are not copied."""
        return {
            name: self._device_array(onnxruntime.OrtValue.ortvalue_from_numpy(array, self.device, 0))
            for name, array in as_inputs(self.inputs, feeds).items()
        }

    def run_device(
        self, feeds: Mapping[str, DeviceArray], stream: Stream | None = None
    ) -> dict[str, DeviceArray]:
        """Run once on arrays that are on the session's device.

        Raises:
            MGHFTError: the feeds are not what the graph takes.
        """
        require_inputs(self.inputs, set(feeds))
        binding = self._session.io_binding()
        for name, array in feeds.items():
            require_device_input(array, self.inputs[name], self.device)
            binding.bind_input(name, self.device, 0, array.dtype, array.shape, array.address)
        for name in self.outputs:
            binding.bind_output(name, self.device, 0)
        if stream is not None:
            stream.synchronize()
        self._session.run_with_iobinding(binding)
        values = binding.get_outputs()
        return {name: self._device_array(value) for name, value in zip(self.outputs, values, strict=True)}

    def download(self, arrays: Mapping[str, DeviceArray], stream: Stream | None = None) -> dict[str, Array]:
        """Copies of the arrays on the host."""
        found = {}
        for name, array in arrays.items():
            if isinstance(array.owner, onnxruntime.OrtValue):
                found[name] = array.owner.numpy()
            elif array.device == "cpu":
                found[name] = array_at(array.address, array.shape, array.dtype).copy()
            else:
                raise MGHFTError(f"ONNX Runtime cannot read {name!r}, which another session computed")
        return found

    def _device_array(self, value: onnxruntime.OrtValue) -> DeviceArray:
        dtype = np.dtype(NUMPY_TYPES[value.data_type()])
        return DeviceArray(value.data_ptr(), tuple(value.shape()), dtype, self.device, value)


NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
"""NumPy's types of the tensors that a branch may have as an input or output."""


def _describe(item: Any) -> TensorInfo:
    shape = tuple(size if isinstance(size, int) else None for size in item.shape)
    return TensorInfo(item.name, shape, np.dtype(NUMPY_TYPES[item.type]))


def _model(path: Path | bytes, provider: str, options: onnxruntime.SessionOptions) -> str | bytes:
    """The model to give to ONNX Runtime. On the CPU it is a graph without its weights, which are mapped from the file.

    Other providers get the path, since they copy weights to their device or pass the whole graph on. So does Windows,
    since it does not let a mapped file be replaced.
    """
    if isinstance(path, bytes):
        return path
    if provider != "cpu" or os.name != "posix":
        return str(path)
    file = path.resolve()  # ONNX Runtime does not follow links out of the folder
    try:
        with (
            file.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as model,
        ):
            structure = without_weights(model, file.name)
    except (OSError, ValueError):
        return str(path)  # ONNX Runtime then reports what is wrong with it
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(file.parent))
    return structure


def _input_shapes(path: Path | bytes) -> dict[str, tuple[int | str, ...]]:
    import onnx

    model = onnx.load_model_from_string(path if isinstance(path, bytes) else path.read_bytes())
    return {
        item.name: tuple(size.dim_param or size.dim_value for size in item.type.tensor_type.shape.dim)
        for item in model.graph.input
    }


def _no_provider(provider: str, reason: str) -> MGHFTError:
    return MGHFTError(
        f"ONNX Runtime cannot use {PROVIDERS[provider]} ({reason}); "
        "check the driver and its libraries, or use --provider cpu"
    )
