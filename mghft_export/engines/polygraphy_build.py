"""Polygraphy's part of a build: builder configuration, profiles, and the build itself.

Polygraphy decides between the two packages once per process, when its loaders are imported.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mghft_export.engines.backend import TITLES, Backend
from mghft_export.engines.capabilities import has
from mghft_export.engines.network import Parsed
from mghft_export.engines.options import BuildOptions
from mghft_export.engines.profiles import Shapes
from mghft_export.engines.timing_cache import load_timing_cache, save_timing_cache
from mghft_export.errors import EngineError

if TYPE_CHECKING:
    import tensorrt


def build_plan(
    backend: Backend,
    parsed: Parsed,
    profiles: Sequence[Shapes],
    options: BuildOptions,
    *,
    workspace: int | None,
    timing_cache: Path | None,
    monitor: Any,
    on_warning: Callable[[str], None],
) -> Any:
    """Build an engine. Returns the serialised plan, or None if the build failed or was stopped (the log says why).

    Args:
        parsed: the network (:func:`.network.parse_network`).
        on_warning: called with a sentence if the timing cache cannot be saved.

    Raises:
        EngineError: Polygraphy is missing, or uses the other package in this process.
    """
    loaders = _loaders(backend)
    from polygraphy.exception import PolygraphyException
    from polygraphy.logger import G_LOGGER

    configured: list[tensorrt.IBuilderConfig] = []

    def configure(builder: tensorrt.Builder, network: tensorrt.INetworkDefinition) -> tensorrt.IBuilderConfig:
        config: tensorrt.IBuilderConfig = _create_config(
            loaders, backend, profiles, options, workspace, monitor
        )(builder, network)
        # Polygraphy would lock and write the file before it returns the engine, and a failure would lose the engine.
        if timing_cache is not None:
            load_timing_cache(config, timing_cache)
        configured.append(config)
        if has(backend, "tf32"):  # on by default in both packages, and Polygraphy clears it for TensorRT only
            flag = backend.trt.BuilderFlag.TF32
            (config.set_flag if options.flags.tf32 else config.clear_flag)(flag)
        return config

    build = loaders.EngineBytesFromNetwork(parsed, config=configure)
    with G_LOGGER.verbosity(G_LOGGER.CRITICAL + 1), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", category=DeprecationWarning
        )  # Polygraphy sets a timing cache for TensorRT-RTX, too
        try:
            serialised = build()
        except PolygraphyException:
            return None
    if timing_cache is not None:
        save_timing_cache(configured[0], timing_cache, on_warning)
    return serialised


def _create_config(
    loaders: Any,
    backend: Backend,
    profiles: Sequence[Shapes],
    options: BuildOptions,
    workspace: int | None,
    monitor: Any,
) -> Any:
    trt = backend.trt
    arguments: dict[str, Any] = {
        "profiles": [_profile(loaders, shapes) for shapes in profiles],
        "profiling_verbosity": trt.ProfilingVerbosity.DETAILED,
        "progress_monitor": monitor,
        "builder_optimization_level": options.flags.level,
        "version_compatible": options.flags.version_compatible,
        "refittable": options.flags.refittable,
        "strip_plan": options.flags.strip_weights,
    }
    if workspace is not None:
        arguments["memory_pool_limits"] = {trt.MemoryPoolType.WORKSPACE: workspace}
    if options.flags.hardware_compatible is not None:
        levels = trt.HardwareCompatibilityLevel
        level = {"ampere+": "AMPERE_PLUS", "same-sm": "SAME_COMPUTE_CAPABILITY"}[
            options.flags.hardware_compatible
        ]
        arguments["hardware_compatibility_level"] = getattr(levels, level)
    if backend.name == "rtx":
        rtx = importlib.import_module("polygraphy.backend.tensorrt_rtx")
        targets = [divmod(sm, 10) for sm in options.targets] or None
        return rtx.CreateConfigRTX(compute_capabilities=targets, **arguments)
    return loaders.CreateConfig(tf32=options.flags.tf32, **arguments)


def _profile(loaders: Any, shapes: Shapes) -> Any:
    profile = loaders.Profile()
    for name, (minimum, optimum, maximum) in shapes.items():
        profile.add(name, min=minimum, opt=optimum, max=maximum)
    return profile


def _loaders(backend: Backend) -> Any:
    try:
        from polygraphy import config
    except ImportError as error:
        raise EngineError(
            f"building engines needs Polygraphy; install it with: pip install 'mghft-export[{backend.name}]'"
        ) from error
    is_rtx = backend.name == "rtx"
    if "polygraphy.backend.trt" not in sys.modules:
        config.USE_TENSORRT_RTX = is_rtx
    elif is_rtx != config.USE_TENSORRT_RTX:
        raise EngineError(
            "this process has used the other package already; "
            f"build with {TITLES[backend.name]} in a process of its own"
        )
    return importlib.import_module("polygraphy.backend.trt")
