"""The options of a build, and the check of package and machine before anything is built."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mghft_export.bundle import BRANCHES
from mghft_export.bundle.build_info import BuildFlags, HardwareLevel
from mghft_export.engines.backend import Backend
from mghft_export.engines.capabilities import Feature, has, require
from mghft_export.engines.gpu import Gpu, NoGpu
from mghft_export.engines.profiles import DEFAULT, ProfileChoice
from mghft_export.errors import EngineError

LEVEL_FEATURES: dict[HardwareLevel, Feature] = {"ampere+": "hardware_compatible", "same-sm": "same_sm"}

FLAGS: dict[str, str] = {"fp32": "--fp32", "fp16": "--fp16", "int8-fp16": "--int8"}
"""The command-line option for each precision that engines are built from."""


@dataclass(frozen=True)
class BuildOptions:
    """The options of a build.

    Attributes:
        precision: precision of the bundle's graphs.
        targets: compute capabilities without the dot, for example 86. Empty means the GPUs that the package builds for
            by default (TensorRT-RTX: Ampere and later), or the GPU in this machine (TensorRT).
        workspace: most bytes that a kernel may use in addition to its tensors. None means half of the free memory
            (TensorRT), or the package's own limit (TensorRT-RTX, because its engines run on other machines).
        flags: the other settings of the builder. TF32 is off by default: layers kept in float32 need full precision.
    """

    precision: str = "fp16"
    branches: tuple[str, ...] = BRANCHES
    profiles: tuple[ProfileChoice, ...] = (DEFAULT,)
    targets: tuple[int, ...] = ()
    workspace: int | None = None
    flags: BuildFlags = field(default_factory=BuildFlags)


def check_options(options: BuildOptions, backend: Backend, gpu: Gpu | NoGpu) -> None:
    """Refuse what this package or machine cannot do.

    Raises:
        EngineError: an option cannot be used; the message names it.
    """
    if options.targets:
        require(backend, "targets", gpu)
        known = supported_targets(backend)
        for sm in options.targets:
            if sm not in known:
                listed = ", ".join(f"sm{item}" for item in known)
                raise EngineError(
                    f"{backend.title} does not build for sm{sm}, only for {listed}; choose among these"
                )
    flags = options.flags
    if flags.version_compatible:
        require(backend, "version_compatible", gpu)
    if flags.hardware_compatible is not None:
        require(backend, LEVEL_FEATURES[flags.hardware_compatible], gpu)
    if flags.refittable:
        require(backend, "refit", gpu)
    if flags.strip_weights:
        require(backend, "strip", gpu)
    if flags.tf32 and not has(backend, "tf32"):
        raise EngineError(f"{backend.title} has no TF32; leave out --tf32")


def parse_targets(text: str) -> tuple[int, ...]:
    """Compute capabilities from a text like `sm86,sm89,sm120` or `8.6`.

    Raises:
        EngineError: the text has another form.
    """
    targets = []
    for part in text.lower().split(","):
        found = re.fullmatch(r"(?:sm_?)?(\d{2,3}|\d{1,2}\.\d)", part.strip())
        if found is None:
            raise EngineError(
                f"--target {text!r} is not understood; give compute capabilities, as sm86,sm89,sm120"
            )
        targets.append(int(found[1].replace(".", "")))
    return tuple(dict.fromkeys(targets))


def parse_size(text: str) -> int:
    """Bytes from a text like `4GiB` or `512M`. A number without a unit counts MiB.

    Raises:
        EngineError: the text has another form.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:(k|m|g)(?:i?b)?)?", text.strip().lower())
    if found is None or not float(found[1]):
        raise EngineError(f"--workspace {text!r} is not a size; give it as 512M or 4G")
    return int(float(found[1]) * {"k": 2**10, "m": 2**20, "g": 2**30, None: 2**20}[found[2]])


def supported_targets(backend: Backend) -> tuple[int, ...]:
    """Compute capabilities that an installed TensorRT-RTX builds for."""
    names = backend.trt.ComputeCapability.__members__
    return tuple(sorted(int(name[2:]) for name in names if re.fullmatch(r"SM\d+", name)))
