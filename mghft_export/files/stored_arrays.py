"""Arrays of an `.npz` file that somebody else may have written. Their headers are checked before values are read.

`np.savez` stores arrays without compression. An array that is compressed, or that claims more bytes than the file has
for it, is refused, so that a small file cannot fill the memory.
"""

from __future__ import annotations

import math
import zipfile
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""The exceptions that reading a damaged file can raise."""


class StoredArrays:
    """The arrays of a file; a context manager.

    Raises:
        Exception: one of :data:`DAMAGED`, or FileNotFoundError.
    """

    def __init__(self, path: Any) -> None:
        self._archive = zipfile.ZipFile(path)

    def __enter__(self) -> StoredArrays:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and type of an array, without reading its values."""
        info = self._archive.getinfo(f"{name}.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed")
        with self._archive.open(info) as stream:
            version = np.lib.format.read_magic(stream)
            readers = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            shape, _, dtype = readers[version](stream)
        if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > info.file_size:
            raise ValueError(f"{name} is larger than the file")
        return shape, dtype

    def read(self, name: str) -> npt.NDArray[Any]:
        """Read an array, after a check of its header."""
        self.header(name)
        with self._archive.open(f"{name}.npy") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
