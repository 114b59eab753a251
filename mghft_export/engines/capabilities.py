"""One table of what only one of the two packages, or only some versions, can do. No other module asks for versions.

Everything that this project builds with and that is not in the table is the same in TensorRT 10.3 to 11 and in
TensorRT-RTX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mghft_export.engines.backend import TITLES, Backend, Name
from mghft_export.engines.gpu import Gpu, NoGpu
from mghft_export.errors import EngineError

Feature = Literal[
    "targets",
    "timing_cache",
    "version_compatible",
    "hardware_compatible",
    "same_sm",
    "refit",
    "strip",
    "strongly_typed",
    "tf32",
    "inspector_at_build",
    "engine_validity",
    "runtime_config",
    "runtime_cache",
    "cuda_graph_strategy",
]


@dataclass(frozen=True)
class Capability:
    """One row of the table.

    Attributes:
        packages: the packages in which it works. TensorRT-RTX has names for more than it can do: it accepts the
            compatibility levels without effect, and its documentation says that its timing cache does nothing.
        attribute: the `Class.attribute` that a version has if it can do this.
        what: the name for messages.
        needs_gpu: the packages in which it works only with a GPU in the machine that builds.
    """

    packages: tuple[Name, ...]
    attribute: str
    what: str
    needs_gpu: tuple[Name, ...] = ()


BOTH: tuple[Name, ...] = ("tensorrt", "rtx")

CAPABILITIES: dict[Feature, Capability] = {
    "targets": Capability(
        ("rtx",), "IBuilderConfig.num_compute_capabilities", "building for other GPUs (--target)"
    ),
    "timing_cache": Capability(("tensorrt",), "IBuilderConfig.create_timing_cache", "a timing cache"),
    # TensorRT-RTX's wheel has no lean runtime, so the build would fail.
    "version_compatible": Capability(
        ("tensorrt",),
        "BuilderFlag.VERSION_COMPATIBLE",
        "compatibility with later versions (--version-compatible)",
    ),
    "hardware_compatible": Capability(
        ("tensorrt",), "HardwareCompatibilityLevel.AMPERE_PLUS", "--hardware-compatible ampere+"
    ),
    "same_sm": Capability(
        ("tensorrt",), "HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY", "--hardware-compatible same-sm"
    ),
    "refit": Capability(BOTH, "BuilderFlag.REFIT", "a refittable engine (--refittable)", needs_gpu=BOTH),
    "strip": Capability(
        BOTH, "BuilderFlag.STRIP_PLAN", "an engine without weights (--strip-weights)", needs_gpu=BOTH
    ),
    # In 11 every network is strongly typed, with or without the flag.
    "strongly_typed": Capability(
        BOTH, "NetworkDefinitionCreationFlag.STRONGLY_TYPED", "strongly typed networks"
    ),
    "tf32": Capability(BOTH, "BuilderFlag.TF32", "TF32 (--tf32)"),
    # The inspector needs a deserialised engine, which needs a GPU. TensorRT has a GPU when it builds. TensorRT-RTX may
    # have none, so its layers are read from its log.
    "inspector_at_build": Capability(
        ("tensorrt",), "ICudaEngine.create_engine_inspector", "the engine inspector"
    ),
    "engine_validity": Capability(
        ("rtx",), "Runtime.get_engine_validity", "asking whether an engine runs here"
    ),
    "runtime_config": Capability(BOTH, "ICudaEngine.create_runtime_config", "runtime configurations"),
    "runtime_cache": Capability(
        ("rtx",), "IRuntimeConfig.create_runtime_cache", "a cache of compiled kernels"
    ),
    "cuda_graph_strategy": Capability(
        ("rtx",), "IRuntimeConfig.cuda_graph_strategy", "CUDA graphs by itself"
    ),
}

REFIT_LOSES_A_BIAS = (11, 3)
"""The first version with a warning in its release notes:
https://docs.nvidia.com/deeplearning/tensorrt/11.3.0/inference-library/refitting-engines.html"""


def has(backend: Backend, feature: Feature) -> bool:
    """Whether this version of the package can do it. Whether there is a GPU is not checked."""
    row = CAPABILITIES[feature]
    owner, attribute = row.attribute.split(".")
    return backend.name in row.packages and hasattr(getattr(backend.trt, owner, None), attribute)


def refit_warning(backend: Backend) -> str | None:
    """A warning about refittable engines of this version; None if no fault is known."""
    numbers = tuple(int(part) for part in backend.version.split(".")[:2] if part.isdecimal())
    if backend.name != "tensorrt" or numbers < REFIT_LOSES_A_BIAS:
        return None
    return (
        f"an engine of {backend.title} that is built with --refittable can lose a bias, and then computes something "
        "else (NVIDIA's release notes of 11.3.0); compare it with `mghft-export eval --engine`, or use "
        "--strip-weights, which puts the same weights back"
    )


def require(backend: Backend, feature: Feature, gpu: Gpu | NoGpu) -> None:
    """Refuse an option that cannot be used, before anything is built.

    Raises:
        EngineError: the package, the version or this machine cannot do it.
    """
    row = CAPABILITIES[feature]
    if backend.name not in row.packages:
        (other,) = row.packages
        raise EngineError(
            f"only {TITLES[other]} can do this: {row.what}; leave the option out, or use --backend {other}"
        )
    if not has(backend, feature):
        raise EngineError(
            f"{backend.title} cannot do this: {row.what}; use a newer version, or leave the option out"
        )
    if backend.name in row.needs_gpu and isinstance(gpu, NoGpu):
        raise EngineError(
            f"{TITLES[backend.name]} builds {row.what} only where there is a GPU ({gpu.reason}); leave the option out"
        )
