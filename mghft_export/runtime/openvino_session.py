"""One graph in OpenVINO, on the CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mghft_export.cpu_features import cpu_flags, has_bf16
from mghft_export.errors import BundleError, MGHFTError
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

if TYPE_CHECKING:
    import openvino


class OpenVinoSession:
    """A graph ready to run.

    Float32 parts of the graph are computed in float32, or in bfloat16 if that is asked for. By default, OpenVINO would
    use bfloat16 on every CPU that has it.

    Args:
        path: the ONNX file, or a serialised model.
        threads: CPU threads; all cores by default.
        bfloat16: compute float32 parts in bfloat16, which keeps 8 bits of a number. INT8 products stay INT8.

    Raises:
        MGHFTError: OpenVINO is not installed, or this CPU has no bfloat16.
        BundleError: OpenVINO cannot load the file.
    """

    device: Device = "cpu"

    def __init__(self, path: Path | bytes, *, threads: int | None = None, bfloat16: bool = False) -> None:
        require_openvino()
        if bfloat16 and not has_bf16(cpu_flags()):
            raise MGHFTError("this CPU has no instructions for bfloat16; use --provider openvino")
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            model = _core().read_model(path)
            self._request = _core().compile_model(model, "CPU", settings).create_infer_request()
        except Exception as error:  # OpenVINO raises RuntimeError and others
            name = "the graph" if isinstance(path, bytes) else str(path)
            raise BundleError(f"OpenVINO cannot load {name}: {_first_line(error)}") from error
        self.inputs = {info.name: info for info in map(_describe, model.inputs)}
        self.outputs = {info.name: info for info in map(_describe, model.outputs)}

    def batch_sizes(self, shapes: Mapping[str, Shape]) -> tuple[range, ...] | None:
        """None: any batch runs."""
        return None

    def open_stream(self) -> Stream | None:
        """None: there are no streams on the CPU."""
        return None

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; arrays by input name in, arrays by output name out.

        Raises:
            MGHFTError: the feeds are not what the graph takes.
        """
        require_inputs(self.inputs, set(feeds))
        return self._infer(as_inputs(self.inputs, feeds))

    def upload(self, feeds: Mapping[str, Array], stream: Stream | None = None) -> dict[str, DeviceArray]:
        """The arrays themselves, in the precision and order that their inputs need."""
        return {name: _device_array(array) for name, array in as_inputs(self.inputs, feeds).items()}

    def run_device(
        self, feeds: Mapping[str, DeviceArray], stream: Stream | None = None
    ) -> dict[str, DeviceArray]:
        """Run once on arrays in the host's memory.

        Raises:
            MGHFTError: the feeds are not what the graph takes.
        """
        require_inputs(self.inputs, set(feeds))
        for name, array in feeds.items():
            require_device_input(array, self.inputs[name], self.device)
        arrays = {name: array_at(array.address, array.shape, array.dtype) for name, array in feeds.items()}
        return {name: _device_array(array) for name, array in self._infer(arrays).items()}

    def download(self, arrays: Mapping[str, DeviceArray], stream: Stream | None = None) -> dict[str, Array]:
        """Copies of the arrays."""
        return {name: array_at(item.address, item.shape, item.dtype).copy() for name, item in arrays.items()}

    def _infer(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        try:
            # The inputs are not copied. The outputs are copies, which the next run does not overwrite.
            found = self._request.infer(dict(arrays), share_inputs=True, share_outputs=False)
        except Exception as error:
            raise MGHFTError(f"OpenVINO failed in a run: {_first_line(error)}") from error
        return {name: found[name] for name in self.outputs}


def has_openvino() -> bool:
    """Whether the package is installed. It is not imported."""
    return importlib.util.find_spec("openvino") is not None


def require_openvino() -> None:
    """Check that OpenVINO is installed.

    Raises:
        MGHFTError: it is not installed.
    """
    if not has_openvino():
        raise MGHFTError(
            "OpenVINO is not installed; install it with: pip install 'mghft-export[openvino]', or use --provider cpu"
        )


@cache
def _core() -> openvino.Core:
    import openvino

    return openvino.Core()


def _describe(port: Any) -> TensorInfo:
    shape = tuple(side.get_length() if side.is_static else None for side in port.get_partial_shape())
    return TensorInfo(port.get_any_name(), shape, np.dtype(port.get_element_type().to_dtype()))


def _device_array(array: Array) -> DeviceArray:
    return DeviceArray(array.ctypes.data, array.shape, array.dtype, "cpu", array)


def _first_line(error: Exception) -> str:
    """The first line that says what went wrong. OpenVINO's messages begin with places in its own code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from", "Check "))]
    return (told or lines or ["no reason given"])[0]
