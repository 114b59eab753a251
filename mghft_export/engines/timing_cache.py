"""Where TensorRT keeps what it measured, so that a second build need not measure again."""

from __future__ import annotations

from pathlib import Path

from mghft_export.cache_folder import cache_folder
from mghft_export.engines.backend import Backend
from mghft_export.engines.capabilities import has
from mghft_export.engines.gpu import Gpu
from mghft_export.errors import EngineError


def timing_cache_path(backend: Backend, gpu: Gpu | None) -> Path | None:
    """A file for this version on this GPU, its folder made; None where the package has no timing cache.

    In `$XDG_CACHE_HOME/mghft-export/timing`, by default under `~/.cache`.

    Raises:
        EngineError: the folder cannot be made.
    """
    if gpu is None or not has(backend, "timing_cache"):
        return None
    root = cache_folder() / "timing"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(
            f"the timing cache's folder {root} cannot be made ({error.strerror}); set XDG_CACHE_HOME to another place"
        ) from error
    return root / f"{backend.name}-{backend.version}-{gpu.slug}-sm{gpu.sm}.cache"
