"""A branch that runs in another model of the same Triton server (business logic scripting, BLS)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mghft_export.errors import MGHFTError
from mghft_export.runtime.profile_choice import Extent, Profile, batch_sizes
from mghft_export.runtime.session import (
    Array,
    Device,
    DeviceArray,
    Shape,
    Stream,
    TensorInfo,
    as_inputs,
    require_inputs,
)
from mghft_export.serving.served_bundle import ServedBranch


class BlsSession:
    """One branch, behind the protocol of sessions.

    What a branch returns stays where the server has it, on a GPU for example, until it is downloaded.

    Args:
        utils: the module `triton_python_backend_utils`.
        to_host: ask the server for outputs in the host's memory.
    """

    device: Device = "cpu"

    def __init__(self, utils: Any, branch: ServedBranch, *, to_host: bool) -> None:
        self._utils, self._branch, self._to_host = utils, branch, to_host
        self.inputs = {item.name: _info(item.name, item.shape, item.dtype) for item in branch.inputs}
        self.outputs = {item.name: _info(item.name, item.shape, item.dtype) for item in branch.outputs}
        self._profiles: list[Profile] = [
            {name: Extent(*shapes) for name, shapes in profile.items()} for profile in branch.profiles
        ]

    def batch_sizes(self, shapes: Mapping[str, Shape]) -> tuple[range, ...] | None:
        """Up to the model's `max_batch_size`; those of the engine's profiles, if it is an engine."""
        most = self._branch.max_batch
        if not self._profiles:
            return (range(1, most + 1),)
        found = batch_sizes(self._profiles, shapes)
        return tuple(range(size.start, min(size.stop, most + 1)) for size in found if size.start <= most)

    def open_stream(self) -> Stream | None:
        """None: the server has its own streams."""
        return None

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; arrays by input name in, arrays by output name out.

        Raises:
            MGHFTError: the feeds are not what the branch takes, or the server reports an error.
        """
        return self.download(self.run_device(self.upload(feeds, None), None), None)

    def upload(self, feeds: Mapping[str, Array], stream: Stream | None) -> dict[str, DeviceArray]:
        """Inputs, or some of them, as tensors of the server."""
        return {
            name: DeviceArray(0, array.shape, array.dtype, "cpu", self._utils.Tensor(name, array))
            for name, array in as_inputs(self.inputs, feeds).items()
        }

    def run_device(self, feeds: Mapping[str, DeviceArray], stream: Stream | None) -> dict[str, DeviceArray]:
        """Run the other model once.

        Raises:
            MGHFTError: the feeds are not what the branch takes, or the server reports an error.
        """
        require_inputs(self.inputs, set(feeds))
        options: dict[str, Any] = {}
        if self._to_host:
            memory = self._utils.TRITONSERVER_MEMORY_CPU
            options["preferred_memory"] = self._utils.PreferredMemory(memory)
        request = self._utils.InferenceRequest(
            model_name=self._branch.model,
            model_version=self._branch.version,
            requested_output_names=list(self.outputs),
            inputs=[array.owner for array in feeds.values()],
            **options,
        )
        response = request.exec()
        if response.has_error():
            raise MGHFTError(f"{self._branch.model} failed: {response.error().message()}")
        found = {}
        for name, info in self.outputs.items():
            tensor = self._utils.get_output_tensor_by_name(response, name)
            found[name] = DeviceArray(0, tuple(tensor.shape()), info.dtype, "cpu", tensor)
        return found

    def download(self, arrays: Mapping[str, DeviceArray], stream: Stream | None) -> dict[str, Array]:
        """Arrays of the host."""
        return {name: _tensor(array).as_numpy() for name, array in arrays.items()}


def _tensor(array: DeviceArray) -> Any:
    return array.owner


def _info(name: str, shape: tuple[int | str, ...], dtype: str) -> TensorInfo:
    return TensorInfo(name, tuple(size if isinstance(size, int) else None for size in shape), np.dtype(dtype))
