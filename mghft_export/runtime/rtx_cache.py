"""Keep the kernels that TensorRT-RTX compiles at an engine's first run on disk, for the next start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file

if TYPE_CHECKING:
    import tensorrt_rtx


class RuntimeCache:
    """The compiled kernels of one engine on one GPU, in a file.

    Args:
        path: the file, which is read if it exists. The library rejects kernels for another GPU, driver or version, and
            compiles them again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cache: tensorrt_rtx.IRuntimeCache | None = None
        self._loaded = b""

    def attach(self, runtime_config: tensorrt_rtx.IRuntimeConfig) -> None:
        """Give the kernels to a runtime configuration. New kernels of its contexts are collected."""
        self._cache = runtime_config.create_runtime_cache()
        try:
            self._loaded = self._path.read_bytes()
        except OSError:
            self._loaded = b""
        if self._loaded and not self._cache.deserialize(self._loaded):
            self._loaded = b""
            self._cache = runtime_config.create_runtime_cache()
        runtime_config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Write the file if there are new kernels. If the disk is full, the next start only takes longer."""
        if self._cache is None:
            return
        content = bytes(memoryview(self._cache.serialize()))
        if content == self._loaded:
            return
        try:
            with replacing_file(self._path) as partial:
                partial.write_bytes(content)
        except MGHFTError:
            return
        self._loaded = content
