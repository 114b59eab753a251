"""Rows whose number format this CPU lacks: they would measure conversions, not the format."""

from __future__ import annotations

from collections.abc import Set

from mghft_export.bench.subjects import Subject
from mghft_export.cpu_features import has_bf16, is_x86

BF16_MODES = ("autocast", "compile-bf16")
"""PyTorch's modes that compute in bfloat16 on a CPU. Where it lacks the instructions, autocast is slower than float32,
by much without AVX-512 (github.com/pytorch/pytorch/issues/118499)."""

NATIVE_FP16 = "asimdhp"
"""Arm's vectors of half precision, the only ones that ONNX Runtime's CPU kernels for FP16 are written for
(github.com/microsoft/onnxruntime/pull/29709). Elsewhere it puts a cast before and after each product."""


def emulation(subject: Subject, flags: Set[str], *, machine: str | None = None) -> str | None:
    """What a CPU with these flags only emulates of a row; None where it does not, and where the flags are not known.

    Args:
        flags: as :func:`~mghft_export.cpu_features.cpu_flags` gives them.
        machine: as `platform.machine()` says it; by default this one.
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
