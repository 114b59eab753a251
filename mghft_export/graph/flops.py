"""Arithmetic of an ONNX graph, counted from its matrix products and convolutions (a multiply-add is two)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx

from mghft_export.errors import ExportError


def count_flops(path: Path, dimensions: Mapping[str, int]) -> int:
    """Floating-point operations of one run: all of :func:`product_flops`.

    Raises:
        ExportError: a product's shape cannot be inferred.
    """
    return sum(flops for _, flops in product_flops(path, dimensions))


def product_flops(path: Path, dimensions: Mapping[str, int]) -> list[tuple[str, int]]:
    """Floating-point operations of each product, by the name of its node.

    Products of ONNX's MatMul, Gemm and Conv only: what a GEMM rate can be compared with. A product that repeats an
    earlier one is left out, as runtimes compute it once.

    Args:
        path: the ONNX file.
        dimensions: a size for each dynamic dimension, as `{"batch": 1, "length": 512}`.

    Raises:
        ExportError: a product's shape cannot be inferred.
    """
    model = onnx.load(path)
    for value in model.graph.input:
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_value = dimensions[size.dim_param]
    # Large weights slow the inference down and tell it nothing but their shapes.
    shapes = {item.name: tuple(item.dims) for item in model.graph.initializer}
    for item in model.graph.initializer:
        if math.prod(item.dims) > 4096:
            model.graph.input.append(onnx.helper.make_tensor_value_info(item.name, item.data_type, item.dims))
    small = [item for item in model.graph.initializer if math.prod(item.dims) <= 4096]
    del model.graph.initializer[:]
    model.graph.initializer.extend(small)
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    for info in [*graph.input, *graph.value_info, *graph.output]:
        shapes[info.name] = tuple(size.dim_value for size in info.type.tensor_type.shape.dim)
    return [
        (node.name, _flops(node, shapes))
        for node in _distinct(graph)
        if node.op_type in {"MatMul", "Gemm", "Conv"}
    ]


def _distinct(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes that compute something no earlier node has computed."""
    same_as: dict[str, str] = {}
    seen: dict[tuple[object, ...], onnx.NodeProto] = {}
    for node in graph.node:
        attributes = tuple(sorted(item.SerializeToString() for item in node.attribute))
        key = (node.op_type, tuple(same_as.get(name, name) for name in node.input), attributes)
        if key in seen:
            same_as.update(zip(node.output, seen[key].output, strict=True))
        else:
            seen[key] = node
            yield node


def _flops(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    output, second = shapes.get(node.output[0], ()), shapes.get(node.input[1], ())
    if not output or not second or 0 in output:
        raise ExportError(f"the shape of {node.name} cannot be inferred, so its arithmetic cannot be counted")
    if node.op_type == "Conv":  # weight [out, in, kh, kw]
        inner = math.prod(second[1:])
    elif node.op_type == "Gemm":
        transposed = any(item.name == "transB" and item.i for item in node.attribute)
        inner = second[1] if transposed else second[0]
    else:
        inner = second[-2] if len(second) > 1 else second[0]
    return 2 * math.prod(output) * inner
