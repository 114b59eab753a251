"""The machine's own rates, measured as rows beside the others: a matrix product and a copy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mghft_export.bench.subjects import COPY_BYTES, GEMM_SIDE, Copy, Gemm


def prepare_gemm(subject: Gemm) -> Callable[[], object]:
    """A function that multiplies once."""
    return _torch_gemm(subject) if subject.library == "torch" else _onnxruntime_gemm(subject)


def prepare_copy(subject: Copy) -> Callable[[], object]:
    """A function that copies once; each thread copies a slice."""
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
