"""The plan of a build, complete before anything is built. `mghft-export trt --dry-run` shows it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from mghft_export.bundle import Bundle, FileEntry
from mghft_export.bundle.build_info import ENGINES
from mghft_export.engines.attentions import attentions_to_fuse
from mghft_export.engines.backend import Backend
from mghft_export.engines.gpu import Gpu, NoGpu
from mghft_export.engines.options import FLAGS, BuildOptions, check_options
from mghft_export.engines.profiles import Shapes, profile_shapes
from mghft_export.errors import EngineError
from mghft_export.option_words import option_words


@dataclass(frozen=True)
class BranchPlan:
    """One engine to build.

    Attributes:
        path: the ONNX file, unchanged since the export.
        attentions: softmaxes of the attentions that must become fused kernels.
    """

    branch: str
    path: Path
    onnx: FileEntry
    profiles: tuple[Shapes, ...]
    attentions: tuple[str, ...]


@dataclass(frozen=True)
class EnginePlan:
    """The engines to build into one folder.

    Attributes:
        workspace: most bytes of workspace for a kernel; None for the package's own limit.
        gpu: the GPU that the engines are bound to; None for TensorRT-RTX, which binds them to none.
    """

    bundle: Bundle
    backend: Backend
    gpu: Gpu | None
    options: BuildOptions
    workspace: int | None
    folder: Path
    branches: tuple[BranchPlan, ...]

    def halved(self) -> EnginePlan | None:
        """The same plan with batches half as large; None if no batch can be halved."""
        profiles = [choice.halved() for choice in self.options.profiles]
        if not any(profiles):
            return None
        kept = tuple(half or choice for half, choice in zip(profiles, self.options.profiles, strict=True))
        options = replace(self.options, profiles=kept)
        branches = tuple(
            replace(item, profiles=_shapes(self.bundle, options, item.branch)) for item in self.branches
        )
        return replace(self, options=options, branches=branches)


def plan_engines(bundle: Bundle, options: BuildOptions, backend: Backend, gpu: Gpu | NoGpu) -> EnginePlan:
    """Decide what is built.

    Raises:
        EngineError: the bundle lacks the graphs, or the package or machine cannot build what is asked for.
        BundleError: a graph was changed after the export.
    """
    check_options(options, backend, gpu)
    graphs = bundle.manifest.precisions.get(options.precision)
    if graphs is None:
        known = ", ".join(bundle.manifest.precisions)
        raise EngineError(
            f"{bundle.root} has no {options.precision} graphs, only {known}; "
            f"export it with --precision {options.precision}"
        )
    unknown = [branch for branch in options.branches if branch not in graphs]
    if unknown:
        raise EngineError(
            f"{bundle.root} has no {unknown[0]} graph in {options.precision}, only {', '.join(graphs)}; "
            "choose among these"
        )
    branches = []
    for branch in options.branches:
        path = bundle.graph(branch, options.precision)
        branches.append(
            BranchPlan(
                branch, path, graphs[branch].file, _shapes(bundle, options, branch), attentions_to_fuse(path)
            )
        )
    bound = gpu if backend.name == "tensorrt" and isinstance(gpu, Gpu) else None
    workspace = options.workspace
    if workspace is None and bound is not None:
        workspace = bound.free // 2  # the other half is for weights, tensors and whatever else runs here
    return EnginePlan(
        bundle,
        backend,
        bound,
        options,
        workspace,
        bundle.root / ENGINES / folder_name(options, backend, bound),
        tuple(branches),
    )


def _shapes(bundle: Bundle, options: BuildOptions, branch: str) -> tuple[Shapes, ...]:
    graph = bundle.manifest.precisions[options.precision][branch]
    return tuple(profile_shapes(graph, branch, bundle.manifest, choice) for choice in options.profiles)


def folder_name(options: BuildOptions, backend: Backend, gpu: Gpu | None) -> str:
    """A name like `rtx-sm86-sm89-fp16`, `rtx-portable-int8-fp16` or `tensorrt-nvidia-a10-fp16`."""
    machine = gpu.slug if gpu is not None else "-".join(f"sm{sm}" for sm in options.targets) or "portable"
    return f"{backend.name}-{machine}-{options.precision}"


def build_command(bundle: Path, backend: str, options: BuildOptions) -> str:
    """The command that builds with these options. It works in any folder."""
    parts = ["mghft-export", "trt", str(bundle.resolve()), FLAGS[options.precision], "--backend", backend]
    for choice in options.profiles:
        parts += ["--batch", str(choice.batch)]
    lengths = [choice.text_length for choice in options.profiles if choice.text_length is not None]
    for length in dict.fromkeys(lengths) if len(set(lengths)) == 1 else lengths:
        parts += ["--text-length", str(length)]
    if options.targets:
        parts += ["--target", ",".join(f"sm{sm}" for sm in options.targets)]
    if options.workspace is not None:
        parts += ["--workspace", f"{options.workspace // 2**20}M"]
    return shlex.join([*parts, *option_words(options.flags)])
