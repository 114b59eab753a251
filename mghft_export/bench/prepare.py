"""Turn a subject into a function that runs it once. Only what the subject needs is imported."""

from __future__ import annotations

from collections.abc import Callable

from mghft_export.bench.subjects import Copy, Gemm, SelfOpening, Subject


def prepare(subject: Subject | Gemm | Copy) -> Callable[[], object]:
    """Load everything, and return a function that runs once, on the next of the rotating inputs.

    A function with a method `phases` can also time the steps of a run separately (:mod:`.gpu_times`). One with
    `peak_bytes` and `close` runs in its own process.
    """
    if isinstance(subject, SelfOpening):
        return subject.open()
    if isinstance(subject, Gemm):
        from mghft_export.bench.machine_rows import prepare_gemm

        return prepare_gemm(subject)
    if isinstance(subject, Copy):
        from mghft_export.bench.machine_rows import prepare_copy

        return prepare_copy(subject)
    if subject.implementation in ("onnxruntime", "openvino", "engine"):
        from mghft_export.bench.session_rows import prepare_sessions

        return prepare_sessions(subject)
    if subject.implementation == "mghft-run":
        from mghft_export.bench.runner_rows import RunnerRow

        return RunnerRow(subject)
    from mghft_export.bench.torch_rows import prepare_torch

    return prepare_torch(subject)
