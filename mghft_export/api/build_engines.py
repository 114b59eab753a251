"""Build engines of a bundle, as `mghft-export trt` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mghft_export.api.add_precisions import add_verified_precisions
from mghft_export.bundle import BRANCHES, Bundle, load_bundle
from mghft_export.bundle.build_info import BuildFlags, BuildInfo
from mghft_export.bundle.verifications import PrecisionVerification
from mghft_export.engines.backend import Backend, choose_backend
from mghft_export.engines.build import build_engines as build_planned
from mghft_export.engines.capabilities import refit_warning
from mghft_export.engines.gpu import Gpu, NoGpu, find_gpu
from mghft_export.engines.min_opt_max import DEFAULT_BATCH, MinOptMax
from mghft_export.engines.options import BuildOptions, check_options, parse_targets
from mghft_export.engines.plan import EnginePlan, plan_engines
from mghft_export.engines.profiles import ProfileChoice
from mghft_export.errors import EngineError
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.precision.feeds import OnStickers, no_report
from mghft_export.precision.own_recipe import own_options

Three = tuple[int, int, int]
"""Minimum, optimum, maximum."""


@dataclass(frozen=True)
class BuiltEngines:
    """What a build made.

    Attributes:
        folder: the folder of the engines; :func:`mghft_export.load` takes it as `engine`.
        info: the content of `build.json`: layers, fused attentions, profiles.
        added: the comparison with float32 of graphs that the build had to add; empty if the bundle had all graphs.
    """

    folder: Path
    info: BuildInfo
    added: Mapping[str, PrecisionVerification]


@dataclass(frozen=True)
class Build:
    """A build that this machine can do.

    Attributes:
        missing: how to make the graphs if the bundle lacks them: the options, and a phrase that describes them. None if
            the bundle has the graphs.
    """

    bundle: Bundle
    options: BuildOptions
    backend: Backend
    gpu: Gpu | NoGpu
    missing: tuple[PrecisionOptions, str] | None

    def plan(self) -> EnginePlan:
        """Plan the engines. The bundle must have the graphs.

        Raises:
            EngineError: the bundle lacks the graphs, or the graphs do not support the options.
        """
        return plan_engines(self.bundle, self.options, self.backend, self.gpu)


def build_engines(
    bundle: str | Path | Bundle,
    precision: str = "fp16",
    *,
    targets: Sequence[str] = (),
    backend: Literal["auto", "tensorrt", "rtx"] = "auto",
    branches: Sequence[str] = BRANCHES,
    batches: Sequence[Three] = (DEFAULT_BATCH,),
    text_length: Three | None = None,
    workspace: int | None = None,
    flags: BuildFlags | None = None,
    verify: bool = True,
    on_step: Callable[[str], None] = lambda _: None,
    on_stickers: OnStickers = no_report,
    on_progress: Callable[[str, str, float], None] = lambda *_: None,
    on_warning: Callable[[str], None] = lambda _: None,
) -> BuiltEngines:
    """Build TensorRT or TensorRT-RTX engines of a bundle inside its folder.

    Args:
        precision: `fp16`, `int8` (with FP16 for the rest) or `fp32`. Missing graphs are made first.
        targets: GPUs that TensorRT-RTX builds for ahead of time, for example `sm89`; Ampere and later by default.
        backend: `auto` takes TensorRT if it is installed and sees a GPU, otherwise TensorRT-RTX.
        branches: `vision`, `text`, `fusion`, or some of them.
        batches: minimum, optimum and maximum batch of each profile, in stickers.
        text_length: minimum, optimum and maximum number of tokens; the model's whole range by default.
        workspace: bytes of workspace; half of the free GPU memory by default (TensorRT).
        flags: builder level, TF32, compatibility, refitting.
        verify: compare newly made graphs with float32.
        on_step: called with a description of each step when it starts.
        on_stickers: called with how many stickers of the step are done, and how many there are.
        on_progress: called with a branch, the builder's phase, and the fraction of the phase that is done (0 to 1).
        on_warning: called with the text of each warning.

    Raises:
        EngineError: the package, its version or this machine cannot build the engines. Nothing is written.
    """
    length = None if text_length is None else MinOptMax(*text_length)
    options = BuildOptions(
        precision={"int8": "int8-fp16"}.get(precision, precision),
        branches=tuple(branches),
        profiles=tuple(ProfileChoice(MinOptMax(*batch), length) for batch in batches),
        targets=parse_targets(",".join(targets)) if targets else (),
        workspace=workspace,
        flags=flags or BuildFlags(),
    )
    for span in (*(profile.batch for profile in options.profiles), length):
        if span is not None and not span.rises:
            raise EngineError(f"{span} is not minimum, optimum, maximum; give three rising numbers from 1")
    build = prepare_build(bundle, options, backend, on_warning)
    build, added = add_missing(build, verify=verify, on_step=on_step, on_stickers=on_stickers)
    plan = build.plan()
    info = build_planned(plan, on_progress, on_warning)
    return BuiltEngines(plan.folder, info, added)


def prepare_build(
    bundle: str | Path | Bundle,
    options: BuildOptions,
    backend: Literal["auto", "tensorrt", "rtx"] = "auto",
    on_warning: Callable[[str], None] = lambda _: None,
) -> Build:
    """Choose the package, and check the options against it and this machine. Nothing is written.

    Raises:
        EngineError: the package or this machine cannot build the engines.
    """
    opened = bundle if isinstance(bundle, Bundle) else load_bundle(Path(bundle))
    gpu = find_gpu()
    package = choose_backend(backend, gpu)
    check_options(options, package, gpu)
    if options.flags.refittable and (known := refit_warning(package)) is not None:
        on_warning(known)
    missing = None
    if options.precision not in opened.manifest.precisions and options.precision in ("fp16", "int8-fp16"):
        missing = own_options(opened, options.precision)
    return Build(opened, options, package, gpu, missing)


def add_missing(
    build: Build,
    *,
    verify: bool = True,
    on_step: Callable[[str], None] = lambda _: None,
    on_stickers: OnStickers = no_report,
) -> tuple[Build, Mapping[str, PrecisionVerification]]:
    """Make the graphs that the bundle lacks in the way its other graphs were made, and compare them with float32.

    Raises:
        MGHFTError: the calibration set cannot be used.
    """
    if build.missing is None:
        return build, {}
    how, _ = build.missing
    wanted = [build.options.precision]
    verified: Mapping[str, PrecisionVerification] = {}
    if verify:
        bundle, verified = add_verified_precisions(build.bundle, wanted, how, None, on_step, on_stickers)
    else:
        bundle = add_precisions(build.bundle, wanted, how, on_step, on_stickers)
    return replace(build, bundle=bundle, missing=None), verified
