"""The rows of a comparison: every way to run a bundle, on this machine or another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from pathlib import Path

from mghft_export.bench.memory import free_bytes, too_large
from mghft_export.bench.subjects import NO_GPU, NO_OPENVINO, Copy, Gemm, Mode, Provider, Subject
from mghft_export.bench.worker import LeftOut, RowFailed
from mghft_export.bundle import Bundle
from mghft_export.config import MGHFTConfig
from mghft_export.cpu_features import has_bf16, is_x86
from mghft_export.engines.gpu import Gpu, NoGpu
from mghft_export.engines.loading import engine_folders
from mghft_export.runtime.graph_session import OPENVINO_PROVIDERS
from mghft_export.runtime.openvino_session import has_openvino

PROVIDERS: tuple[Provider, ...] = ("cpu", "openvino", "openvino-bf16", "cuda", "tensorrt")
DEVICES: tuple[Provider, ...] = ("cpu", "cuda")
"""The devices of PyTorch among the providers."""
RELEASED_MODES: tuple[Mode, ...] = ("eager", "compile", "autocast")
FUSED_MODES: dict[str, tuple[Mode, ...]] = {
    "cpu": ("eager",),
    "cuda": ("eager", "compile", "autocast", "compile-fp16", "compile-bf16"),
}


def all_rows(
    template: Subject,
    bundle: Bundle,
    *,
    providers: Sequence[str],
    precisions: Sequence[str] = (),
    runner: Path | None = None,
) -> list[Subject]:
    """Every row of one part and batch, the reference first. :func:`obstacle` says later which rows can run here.

    Args:
        template: bundle, part, batch and everything else that the rows share.
        providers: providers of ONNX Runtime, PyTorch and OpenVINO.
        precisions: precisions of the bundle; all of them by default.
        runner: the program `mghft-run`; it adds its own row for each row that runs in sessions.
    """
    rows = []
    for provider in (item for item in DEVICES if item in providers):
        on = replace(template, provider=provider)
        rows += [replace(on, implementation="as-released", mode=mode) for mode in RELEASED_MODES]
        rows += [replace(on, implementation="fused", mode=mode) for mode in FUSED_MODES[provider]]
    sessions = [
        replace(
            template,
            implementation="openvino" if provider in OPENVINO_PROVIDERS else "onnxruntime",
            provider=provider,
            precision=precision,
        )
        for provider in (item for item in PROVIDERS if item in providers)
        for precision in bundle.manifest.precisions
        if not precisions or precision in precisions
    ]
    if "cuda" in providers or "tensorrt" in providers:
        sessions += [
            replace(template, implementation="engine", provider="cuda", engine=folder.name)
            for folder in engine_folders(bundle)
        ]
    if runner is not None:
        sessions += [replace(row, implementation="mghft-run", runner=runner) for row in sessions]
    return rows + sessions


def obstacle(
    config: MGHFTConfig,
    gpu: Gpu | NoGpu,
    free: Callable[[], int] = free_bytes,
    *,
    flags: Set[str] = frozenset(),
    wanted: Callable[[Subject], bool] = lambda _: False,
) -> Callable[[Subject | Gemm | Copy], RowFailed | None]:
    """A function that says, before a row's process starts, why the row cannot run here. It returns None if it can.

    Args:
        flags: flags of the CPU; rows that it only emulates are left out.
        wanted: rows that run although the CPU only emulates them.
    """

    def why_not(subject: Subject | Gemm | Copy) -> RowFailed | None:
        if not isinstance(subject, Subject):
            return None
        if subject.on_gpu and isinstance(gpu, NoGpu):
            return LeftOut(f"{NO_GPU}: {gpu.reason}")
        if subject.implementation == "openvino" and not has_openvino():
            return LeftOut(NO_OPENVINO)
        emulated = emulation(subject, flags)
        if emulated is not None and not wanted(subject):
            return LeftOut(f"{emulated}: --all runs it")
        reason = _not_of_runner(subject) or too_large(subject, config, free())
        return RowFailed(reason) if reason is not None else None

    return why_not


def _not_of_runner(subject: Subject) -> str | None:
    if subject.implementation != "mghft-run":
        return None
    if subject.length is not None:
        return "mghft-run takes texts as long as they are"
    if subject.on_gpu and not (subject.cuda_graph and subject.io_transfers):
        return "mghft-run always uses CUDA graphs and copies inputs and outputs"
    if subject.on_gpu and subject.part == "vision":
        return "mghft-run leaves vision's tokens on the GPU, where fusion reads them"
    return None


BF16_MODES = ("autocast", "compile-bf16")
"""PyTorch's modes that compute in bfloat16 on a CPU. If the CPU lacks the instructions, autocast is slower than
float32, and much slower without AVX-512 (github.com/pytorch/pytorch/issues/118499)."""

NATIVE_FP16 = "asimdhp"
"""Flag of Arm's half-precision vectors. ONNX Runtime has CPU kernels for FP16 only for them
(github.com/microsoft/onnxruntime/pull/29709). On other CPUs it puts a cast before and after each product."""


def emulation(subject: Subject, flags: Set[str], *, machine: str | None = None) -> str | None:
    """What a CPU with these flags only emulates in a row; None if it emulates nothing, or the flags are not known.

    Args:
        flags: flags of the CPU, from :func:`~mghft_export.cpu_features.cpu_flags`.
        machine: architecture, as `platform.machine()` returns it; this machine's by default.
    """
    if subject.on_gpu or not flags:
        return None
    if subject.implementation in ("as-released", "fused"):
        if subject.mode in BF16_MODES and not has_bf16(flags):
            return "this CPU only emulates bfloat16"
        return None
    if subject.provider == "openvino-bf16" and not has_bf16(flags):
        return "this CPU only emulates bfloat16"
    if "fp16" in subject.precision.split("-") and (is_x86(machine) or NATIVE_FP16 not in flags):
        runtime = "OpenVINO" if subject.provider.startswith("openvino") else "ONNX Runtime"
        return f"{runtime} only emulates FP16 on this CPU"
    return None
