"""Memory that is kept from run to run and grows when a run needs more."""

from __future__ import annotations

from typing import Any

import numpy as np

from mghft_export.runtime.cuda import Cuda
from mghft_export.runtime.session import Array, DeviceArray, Shape, Stream, array_at


class DeviceBuffer:
    """Device memory of one tensor."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self.address = 0
        self.size = 0

    def reserve(self, size: int) -> int:
        """Make the memory at least `size` bytes large. Returns its address, which changes only when the memory grows.

        Raises:
            DeviceMemoryError: the device's memory is full; the buffer is empty then.
        """
        if size > self.size:
            self.free()
            self.address = self._cuda.allocate(size)
            self.size = size
        return self.address

    def array(self, shape: Shape, dtype: np.dtype[Any], owner: object) -> DeviceArray:
        """The memory as an array of this shape; `owner` is the object that frees the buffer.

        Raises:
            DeviceMemoryError: the device's memory is full.
        """
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return DeviceArray(self.reserve(max(size, 1)), shape, dtype, "cuda", owner)

    def free(self) -> None:
        """Give the memory back."""
        if self.size:
            address, self.address, self.size = self.address, 0, 0
            self._cuda.free(address)


class PinnedBuffer:
    """Pinned host memory between the host's arrays and one tensor on the device.

    Copies run in the background, so the memory is written again only after the last copy is done.
    """

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._address = 0
        self._size = 0
        self._copied: Any = None

    def send(self, array: Array, target: DeviceArray, stream: Stream) -> None:
        """Copy a host array to the device, on a stream."""
        self._reserve(array.nbytes)
        self._view(array.shape, array.dtype)[...] = array
        self._cuda.copy_to_device(target.address, self._address, array.nbytes, stream)
        self._cuda.record(self._copied, stream)

    def fetch(self, source: DeviceArray, stream: Stream) -> Array:
        """Copy a device array to this memory, on a stream. The result is valid once the stream is synchronised."""
        self._reserve(source.nbytes)
        self._cuda.copy_to_host(self._address, source.address, source.nbytes, stream)
        self._cuda.record(self._copied, stream)
        return self._view(source.shape, source.dtype)

    def free(self) -> None:
        """Give the memory back, after the copies that use it."""
        if self._copied is not None:
            self._cuda.wait(self._copied)
            self._cuda.destroy_event(self._copied)
            self._copied = None
        if self._size:
            address, self._address, self._size = self._address, 0, 0
            self._cuda.free_pinned(address)

    def _reserve(self, size: int) -> None:
        if self._copied is not None:
            self._cuda.wait(self._copied)
        if size > self._size:
            self.free()
            self._address = self._cuda.allocate_pinned(size)
            self._size = size
        if self._copied is None:
            self._copied = self._cuda.open_event()

    def _view(self, shape: Shape, dtype: np.dtype[Any]) -> Array:
        return array_at(self._address, shape, dtype)
