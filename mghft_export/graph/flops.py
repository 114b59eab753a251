"""Count the arithmetic of an ONNX graph: its matrix products and convolutions. A multiply-add counts as two."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes.common import CommonSubexpressionEliminationPass, ShapeInferencePass

from mghft_export.errors import ExportError


def count_flops(path: Path, dimensions: Mapping[str, int]) -> int:
    """Floating-point operations of one run: the sum of :func:`product_flops`.

    Raises:
        ExportError: a product's shape cannot be inferred.
    """
    return sum(flops for _, flops in product_flops(path, dimensions))


def product_flops(path: Path, dimensions: Mapping[str, int]) -> list[tuple[str, int]]:
    """Floating-point operations of each product, with the name of its node.

    Only the operators MatMul, Gemm and Conv are counted, so the result can be compared with a GEMM rate. A product that
    repeats an earlier one is left out, because runtimes compute it once.

    Args:
        path: the ONNX file.
        dimensions: a size for each dynamic dimension, for example `{"batch": 1, "length": 512}`.

    Raises:
        ExportError: a product's shape cannot be inferred.
    """
    model = ir.load(path)
    graph = model.graph
    for value in graph.inputs:
        assert value.shape is not None
        value.shape = ir.Shape(
            size if isinstance(size, int) else dimensions[str(size.value)] for size in value.shape
        )
    for value in graph.outputs:
        value.shape = None  # the inference would keep the dynamic shape
    CommonSubexpressionEliminationPass()(model)
    ShapeInferencePass(data_prop=True)(model)
    return [(str(node.name), _flops(node)) for node in graph if node.op_type in {"MatMul", "Gemm", "Conv"}]


def _flops(node: ir.Node) -> int:
    output, second = _shape(node.outputs[0]), _shape(node.inputs[1])
    if not output or not second or 0 in output:
        raise ExportError(f"the shape of {node.name} cannot be inferred, so its arithmetic cannot be counted")
    if node.op_type == "Conv":  # weight [out, in, kh, kw]
        inner = math.prod(second[1:])
    elif node.op_type == "Gemm":
        inner = second[1] if node.attributes.get_int("transB", 0) else second[0]
    else:
        inner = second[-2] if len(second) > 1 else second[0]
    return 2 * math.prod(output) * inner


def _shape(value: ir.Value | None) -> tuple[int, ...]:
    """The shape of a value; empty if it is not known."""
    if value is None or value.shape is None or not value.shape.is_static():
        return ()
    return value.shape.numpy()
