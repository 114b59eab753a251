"""Turn a subject into a function that runs it once. Only what the subject needs is imported."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mghft_export.bench.subjects import COPY_BYTES, GEMM_SIDE, Copy, Gemm, SelfOpening, Subject


def prepare(subject: Subject | Gemm | Copy) -> Callable[[], object]:
    """Load everything, and return a function that runs once, on the next of the rotating inputs.

    A function with a method `phases` can also time the steps of a run separately (:mod:`.gpu_times`). One with
    `peak_bytes` and `close` runs in its own process.
    """
    if isinstance(subject, SelfOpening):
        return subject.open()
    if isinstance(subject, Gemm):
        return prepare_gemm(subject)
    if isinstance(subject, Copy):
        return prepare_copy(subject)
    if subject.implementation in ("onnxruntime", "openvino", "engine"):
        from mghft_export.bench.session_rows import prepare_sessions

        return prepare_sessions(subject)
    if subject.implementation == "mghft-run":
        from mghft_export.bench.runner_rows import RunnerRow

        return RunnerRow(subject)
    from mghft_export.bench.torch_rows import prepare_torch

    return prepare_torch(subject)


def prepare_gemm(subject: Gemm) -> Callable[[], object]:
    """A function that makes the machine's own matrix product once."""
    return _torch_gemm(subject) if subject.library == "torch" else _onnxruntime_gemm(subject)


def prepare_copy(subject: Copy) -> Callable[[], object]:
    """A function that makes the machine's own copy once; each thread copies a slice."""
    source = np.ones(COPY_BYTES, np.uint8)
    target = np.zeros_like(source)
    pairs = list(
        zip(np.array_split(target, subject.threads), np.array_split(source, subject.threads), strict=True)
    )
    pool = ThreadPoolExecutor(subject.threads)  # numpy copies without holding the interpreter's lock
    return lambda: list(pool.map(lambda pair: np.copyto(*pair), pairs))


def _torch_gemm(subject: Gemm) -> Callable[[], object]:
    import torch

    torch.set_num_threads(subject.threads)
    a, b = torch.randn(GEMM_SIDE, GEMM_SIDE), torch.randn(GEMM_SIDE, GEMM_SIDE)
    return lambda: a @ b


def _onnxruntime_gemm(subject: Gemm) -> Callable[[], object]:
    import onnx
    import onnxruntime
    from onnx import helper

    shape = [GEMM_SIDE, GEMM_SIDE]
    weight = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("a", "c")]
    node = helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = helper.make_graph(
        [node], "gemm", values[:1], values[1:], [onnx.numpy_helper.from_array(weight, "b")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = subject.threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"a": weight})
