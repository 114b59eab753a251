"""Where TensorRT keeps what it measured, so that a second build need not measure again.

A cache is a convenience: what is wrong with it costs time, and never the engine.
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
    """The file for this version on this GPU; None where the package has no timing cache.

    In `$XDG_CACHE_HOME/mghft-export/timing`, by default under `~/.cache`.
    """
    if gpu is None or not has(backend, "timing_cache"):
        return None
    name = f"{backend.name}-{backend.version}-{gpu.slug}-sm{gpu.sm}-{gpu.multiprocessors}mp.cache"
    return cache_folder("timing") / name


def load_timing_cache(config: tensorrt.IBuilderConfig, path: Path) -> None:
    """Give a builder what earlier builds measured; it starts with nothing where that cannot be had."""
    content = _read(path)
    cache: tensorrt.ITimingCache | None = config.create_timing_cache(content) if content else None
    if cache is not None:  # TensorRT refuses what it measured elsewhere, and says so in its log
        config.set_timing_cache(cache, False)


def save_timing_cache(
    config: tensorrt.IBuilderConfig, path: Path, on_warning: Callable[[str], None] = lambda _: None
) -> None:
    """Keep what a build measured, beside what others have kept meanwhile.

    Args:
        on_warning: takes a sentence where it cannot be kept.
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
