"""Engines of a bundle: what `mghft-export trt` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mghft_export.bundle import BRANCHES, Bundle, load_bundle
from mghft_export.engines.backend import choose_backend
from mghft_export.engines.build import build_engines as build_planned
from mghft_export.engines.build_info import BuildInfo
from mghft_export.engines.gpu import find_gpu
from mghft_export.engines.options import BuildOptions, HardwareLevel, parse_targets
from mghft_export.engines.plan import EnginePlan, plan_engines
from mghft_export.engines.profiles import DEFAULT, ProfileChoice, Span
from mghft_export.errors import EngineError
from mghft_export.precision.own_recipe import own_options
from mghft_export.verification.added import add_verified_precisions
from mghft_export.verification.result import PrecisionVerification

Three = tuple[int, int, int]
"""Minimum, optimum, maximum."""


@dataclass(frozen=True)
class BuiltEngines:
    """What a build made.

    Attributes:
        folder: of the engines, as :func:`mghft_export.load` takes it.
        info: what is in `build.json`: layers, fused attentions, profiles.
        added: how graphs that the bundle lacked compare with float32; empty where it had them.
    """

    folder: Path
    info: BuildInfo
    added: Mapping[str, PrecisionVerification]


def build_engines(
    bundle: str | Path | Bundle,
    precision: str = "fp16",
    *,
    targets: Sequence[str] = (),
    backend: Literal["auto", "tensorrt", "rtx"] = "auto",
    branches: Sequence[str] = BRANCHES,
    batches: Sequence[Three] = ((1, 8, 32),),
    text_length: Three | None = None,
    workspace: int | None = None,
    level: int | None = None,
    hardware_compatible: HardwareLevel | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[str, str, float], None] = lambda *_: None,
    on_warning: Callable[[str], None] = lambda _: None,
) -> BuiltEngines:
    """Build TensorRT or TensorRT-RTX engines of a bundle, into its folder.

    Args:
        precision: `fp16`, `int8` (over FP16) or `fp32`. Graphs that the bundle lacks are made first.
        targets: TensorRT-RTX, ahead of time: GPUs to build for, as `sm89`; Ampere and later by default.
        backend: `auto` takes TensorRT where it is installed and sees a GPU, else TensorRT-RTX.
        branches: `vision`, `text`, `fusion`, or some of them.
        batches: minimum, optimum and maximum of stickers, once for each profile.
        text_length: minimum, optimum and maximum of tokens; all that the model takes by default.
        workspace: bytes; half of what is free by default (TensorRT).
        level: 0 to 5, how long the builder looks for better kernels.
        hardware_compatible: TensorRT: `ampere+` or `same-sm`.
        on_step: called with what starts.
        on_progress: called with a branch, the builder's phase and the part of it that is done, 0 to 1.
        on_warning: called with a sentence.

    Raises:
        EngineError: the package, the version or this machine cannot build it; nothing is written then.
    """
    opened = bundle if isinstance(bundle, Bundle) else load_bundle(Path(bundle))
    name = {"int8": "int8-fp16"}.get(precision, precision)
    length = None if text_length is None else Span(*text_length)
    options = BuildOptions(
        precision=name,
        branches=tuple(branches),
        profiles=tuple(ProfileChoice(Span(*batch), length) for batch in batches) or (DEFAULT,),
        targets=parse_targets(",".join(targets)) if targets else (),
        workspace=workspace,
        level=level,
        hardware_compatible=hardware_compatible,
    )
    for span in (*(profile.batch for profile in options.profiles), length):
        if span is not None and not span.rises:
            raise EngineError(f"{span} is not minimum, optimum, maximum; give three rising numbers from 1")
    gpu = find_gpu()
    package = choose_backend(backend, gpu)
    added: Mapping[str, PrecisionVerification] = {}
    if name not in opened.manifest.precisions and name in ("fp16", "int8-fp16"):
        how, _ = own_options(opened, name)
        opened, added = add_verified_precisions(opened, [name], how, None, on_step)
    plan: EnginePlan = plan_engines(opened, options, package, gpu)
    info = build_planned(plan, on_progress, on_warning)
    return BuiltEngines(plan.folder, info, added)
