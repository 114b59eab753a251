"""The timing cache: TensorRT keeps its measurements in it, so that a second build need not measure again.

A missing, damaged or unwritable cache costs time, but the engine is still built.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mghft_export.engines.backend import Backend
from mghft_export.engines.capabilities import has
from mghft_export.engines.gpu import Gpu
from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file
from mghft_export.files.cache_folder import cache_folder

if TYPE_CHECKING:
    import tensorrt


def timing_cache_path(backend: Backend, gpu: Gpu | None) -> Path | None:
    """The cache file for this version on this GPU; None without a GPU, or if the package has no timing cache.

    The file is in `$XDG_CACHE_HOME/mghft-export/timing`, by default under `~/.cache`.
    """
    if gpu is None or not has(backend, "timing_cache"):
        return None
    name = f"{backend.name}-{backend.version}-{gpu.slug}-sm{gpu.sm}-{gpu.multiprocessors}mp.cache"
    return cache_folder("timing") / name


def load_timing_cache(config: tensorrt.IBuilderConfig, path: Path) -> None:
    """Give a builder the measurements of earlier builds. It starts without any if they cannot be read."""
    content = _read(path)
    cache: tensorrt.ITimingCache | None = config.create_timing_cache(content) if content else None
    if cache is not None:  # None: TensorRT refused measurements of another machine, and its log says so
        config.set_timing_cache(cache, False)


def save_timing_cache(
    config: tensorrt.IBuilderConfig, path: Path, on_warning: Callable[[str], None] = lambda _: None
) -> None:
    """Save the measurements of a build, together with those that other builds saved meanwhile.

    Args:
        on_warning: called with a sentence if they cannot be saved.
    """
    cache: tensorrt.ITimingCache | None = config.get_timing_cache()
    if cache is None:
        return
    content = _read(path)
    before = config.create_timing_cache(content) if content else None
    if before is not None:
        cache.combine(before, True)
    try:
        with replacing_file(path) as partial:
            partial.write_bytes(memoryview(cache.serialize()))
    except MGHFTError as error:
        on_warning(f"what the build measured is not kept for the next one: {error}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
