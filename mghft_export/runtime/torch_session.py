"""One branch in PyTorch: the fused modules that the graphs were traced from, with the protocol of a session.

This is the only part of the runtime that imports torch, and no other part of the runtime imports this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mghft_export.errors import MGHFTError
from mghft_export.fused.branch_modules import Branch, fusion_branch, text_branch, vision_branch
from mghft_export.fused.mghft import FusedMGHFT
from mghft_export.runtime.branches import Branches
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


class TorchSession:
    """A fused branch ready to run, in the precision of its parameters' type.

    Args:
        branch: the module, its example inputs and the names of its outputs.
    """

    def __init__(self, branch: Branch, *, device: Device = "cpu") -> None:
        self.device: Device = device
        self._module = branch.module.to(device).eval()
        self.inputs = {
            name: _describe(name, tensor, set(branch.dynamic[name])) for name, tensor in branch.inputs.items()
        }
        with torch.inference_mode():
            example = self._compute([tensor.to(device) for tensor in branch.inputs.values()])
        self.outputs = {
            name: _describe(name, tensor, {0}) for name, tensor in zip(branch.outputs, example, strict=True)
        }

    def batch_sizes(self, shapes: Mapping[str, Shape]) -> tuple[range, ...] | None:
        """None: any batch runs."""
        return None

    def open_stream(self) -> TorchStream | None:
        """A new stream on the GPU; None on the CPU."""
        return TorchStream() if self.device == "cuda" else None

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once, from host arrays to host arrays.

        Raises:
            MGHFTError: the feeds are not what the branch takes.
        """
        return self.download(self.run_device(self.upload(feeds, None), None), None)

    def upload(self, feeds: Mapping[str, Array], stream: Stream | None) -> dict[str, DeviceArray]:
        """Copy inputs, or some of them, to the device."""
        with _on(stream):
            return {
                name: self._device_array(torch.from_numpy(array).to(self.device, copy=True))
                for name, array in as_inputs(self.inputs, feeds).items()
            }

    @torch.inference_mode()
    def run_device(self, feeds: Mapping[str, DeviceArray], stream: Stream | None) -> dict[str, DeviceArray]:
        """Run once on arrays that are on the session's device.

        Raises:
            MGHFTError: the feeds are not what the branch takes.
        """
        require_inputs(self.inputs, set(feeds))
        for name, array in feeds.items():
            require_device_input(array, self.inputs[name], self.device)
        with _on(stream):
            found = self._compute([_tensor(feeds[name]) for name in self.inputs])
        return {name: self._device_array(tensor) for name, tensor in zip(self.outputs, found, strict=True)}

    def download(self, arrays: Mapping[str, DeviceArray], stream: Stream | None) -> dict[str, Array]:
        """Copies of the arrays on the host."""
        with _on(stream):
            return {name: _tensor(array).cpu().numpy().copy() for name, array in arrays.items()}

    def _compute(self, inputs: list[Tensor]) -> tuple[Tensor, ...]:
        result = self._module(*inputs)
        return (result,) if isinstance(result, Tensor) else tuple(result)

    def _device_array(self, tensor: Tensor) -> DeviceArray:
        tensor = tensor.contiguous()
        return DeviceArray(tensor.data_ptr(), tuple(tensor.shape), _numpy_type(tensor), self.device, tensor)


class TorchStream:
    """A CUDA stream of PyTorch."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()

    @property
    def handle(self) -> int:
        """The CUDA stream."""
        return int(self.stream.cuda_stream)

    def synchronize(self) -> None:
        """Wait for all work queued so far."""
        self.stream.synchronize()


def torch_branches(model: FusedMGHFT, *, device: Literal["cpu", "cuda"] = "cpu") -> Branches:
    """Open the branches of a fused model in PyTorch.

    Raises:
        MGHFTError: PyTorch cannot use the device on this machine.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise MGHFTError("PyTorch finds no CUDA device on this machine; use the CPU")
    vision, text, fusion = (
        TorchSession(describe(model), device=device)
        for describe in (vision_branch, text_branch, fusion_branch)
    )
    return Branches(vision, text, fusion, f"torch/{device}", "fp32")


class _OnDevice:
    """Device memory in a form that PyTorch accepts from other libraries (CUDA array interface, version 3)."""

    def __init__(self, array: DeviceArray) -> None:
        self.array = array
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.address, False),
            "version": 3,
            "strides": None,
        }


def _tensor(array: DeviceArray) -> Tensor:
    """A tensor over the same memory."""
    if isinstance(array.owner, Tensor):
        return array.owner
    if array.device == "cpu":
        return torch.from_numpy(array_at(array.address, array.shape, array.dtype))
    return torch.as_tensor(_OnDevice(array), device="cuda")


@contextlib.contextmanager
def _on(stream: Stream | None) -> Iterator[None]:
    """Queue the work of the block on a stream, which may be PyTorch's or another library's."""
    if stream is None:
        yield
        return
    current = stream.stream if isinstance(stream, TorchStream) else torch.cuda.ExternalStream(stream.handle)
    with torch.cuda.stream(current):
        yield


def _describe(name: str, tensor: Tensor, dynamic: set[int]) -> TensorInfo:
    shape = tuple(None if number in dynamic else size for number, size in enumerate(tensor.shape))
    return TensorInfo(name, shape, _numpy_type(tensor))


def _numpy_type(tensor: Tensor) -> np.dtype[Any]:
    dtype: np.dtype[Any] = torch.empty(0, dtype=tensor.dtype).numpy().dtype
    return dtype
