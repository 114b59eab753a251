"""The protocol of a session, which runs one branch: named arrays in, named arrays out, on the host or on a device.

There are four implementations: ONNX Runtime (:mod:`.onnx_session`), OpenVINO (:mod:`.openvino_session`), TensorRT and
TensorRT-RTX engines (:mod:`.engine_session`) and PyTorch (:mod:`.torch_session`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from mghft_export.errors import MGHFTError

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class TensorInfo:
    """An input or output.

    Attributes:
        shape: size of each dimension; None for a dynamic dimension.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class DeviceArray:
    """A dense array in the memory of a device, in C order.

    Attributes:
        address: address of the first element.
        owner: the object that keeps the memory alive as long as this array lives.
    """

    address: int
    shape: Shape
    dtype: np.dtype[Any]
    device: Device
    owner: object

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Stream(Protocol):
    """A queue of work on a device. Work on one stream runs in the order in which it was queued."""

    @property
    def handle(self) -> int:
        """The CUDA stream."""

    def synchronize(self) -> None:
        """Wait for all work queued so far."""


class Session(Protocol):
    """One branch, ready to run.

    :meth:`run` takes and returns host arrays. :meth:`upload`, :meth:`run_device` and :meth:`download` are its three
    steps, so that the output of one session can be the input of another without leaving the device. The arrays that
    :meth:`upload` and :meth:`run_device` return are overwritten by the session's next call of the same method. On a
    device these calls may return before the work is done; :meth:`download` waits for it. Only one thread may use a
    session at a time.
    """

    @property
    def device(self) -> Device:
        """The device on which :meth:`run_device` expects its inputs."""

    @property
    def inputs(self) -> Mapping[str, TensorInfo]:
        """The inputs by name, in order."""

    @property
    def outputs(self) -> Mapping[str, TensorInfo]:
        """The outputs by name, in order."""

    def batch_sizes(self, shapes: Mapping[str, Shape]) -> tuple[range, ...] | None:
        """The batch sizes that run for inputs of these shapes, with any first dimension; None for all.

        Raises:
            MGHFTError: no batch of these inputs runs.
        """

    def open_stream(self) -> Stream | None:
        """A new stream on the session's device; None if the session has no streams."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once. Floating-point arrays are cast to the precision of the input.

        Raises:
            MGHFTError: the feeds are not what the branch takes.
        """

    def upload(self, feeds: Mapping[str, Array], stream: Stream | None) -> dict[str, DeviceArray]:
        """Copy inputs, or some of them, to the device. Floating-point arrays are cast to the input's precision."""

    def run_device(self, feeds: Mapping[str, DeviceArray], stream: Stream | None) -> dict[str, DeviceArray]:
        """Run once on the device."""

    def download(self, arrays: Mapping[str, DeviceArray], stream: Stream | None) -> dict[str, Array]:
        """Copy arrays to the host, after the work queued on the stream."""


def require_inputs(inputs: Mapping[str, TensorInfo], names: set[str]) -> None:
    """Check that a run gets all inputs and nothing else.

    Raises:
        MGHFTError: an input is missing or unknown.
    """
    if wrong := sorted(inputs.keys() ^ names):
        state = "is missing" if wrong[0] in inputs else "is not known"
        raise MGHFTError(f"the input {wrong[0]!r} {state}; the branch takes {', '.join(inputs)}")


def as_inputs(inputs: Mapping[str, TensorInfo], feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Convert arrays for their inputs: to C order, and floating-point arrays to the input's precision.

    Raises:
        MGHFTError: an input is unknown, or an array has another type of number or another shape than its input.
    """
    found = {}
    for name, array in feeds.items():
        if name not in inputs:
            raise MGHFTError(f"the input {name!r} is not known; the branch takes {', '.join(inputs)}")
        tensor = inputs[name]
        if np.issubdtype(array.dtype, np.floating) and np.issubdtype(tensor.dtype, np.floating):
            array = array.astype(tensor.dtype, copy=False)
        _require(tensor, array.shape, array.dtype)
        found[name] = np.ascontiguousarray(array)
    return found


def require_device_input(array: DeviceArray, tensor: TensorInfo, device: Device) -> None:
    """Check an array that is already on a device, since it cannot be cast there.

    Raises:
        MGHFTError: the array is on another device, or has another type or shape than the input.
    """
    if array.device != device:
        raise MGHFTError(f"the input {tensor.name!r} is on {array.device}, the session runs on {device}")
    _require(tensor, array.shape, array.dtype)


def _require(tensor: TensorInfo, shape: Shape, dtype: np.dtype[Any]) -> None:
    fits = len(shape) == len(tensor.shape) and all(
        wanted is None or size == wanted for size, wanted in zip(shape, tensor.shape, strict=True)
    )
    if dtype != tensor.dtype or not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in tensor.shape)
        raise MGHFTError(
            f"the input {tensor.name!r} must be {tensor.dtype} [{wanted}], not {dtype} {list(shape)}"
        )


def array_at(address: int, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Host memory at an address, as an array. It is valid as long as the memory is."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = (ctypes.c_byte * size).from_address(address)
    flat: Array = np.ctypeslib.as_array(memory).view(dtype)
    return flat.reshape(shape)
