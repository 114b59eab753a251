"""Host memory at an address, as an array."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from mghft_export.runtime.session import Array, Shape


def array_at(address: int, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """A view, valid as long as the memory is."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = (ctypes.c_byte * size).from_address(address)
    flat: Array = np.ctypeslib.as_array(memory).view(dtype)
    return flat.reshape(shape)
