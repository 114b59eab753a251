"""Find products with constant weights: linear layers, and convolutions that the export wrote as linear layers."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from mghft_export.graph.edits import REATTENTION


@dataclass(frozen=True)
class WeightProduct:
    """One MatMul or Gemm of an activation with a constant matrix.

    Attributes:
        name: the name of the node.
        activation: the name of the tensor that is multiplied.
        weight: the name of the initializer.
        channel_axis: the dimension of the weight that holds the output channels.
    """

    name: str
    activation: str
    weight: str
    channel_axis: int


def weight_products(graph: onnx.GraphProto) -> tuple[WeightProduct, ...]:
    """All weight products of a graph, in its order. Those of the re-attention, which stays in float32, are left out."""
    matrices = {item.name for item in graph.initializer if len(item.dims) == 2}
    found = []
    for node in graph.node:
        if (
            node.op_type not in {"MatMul", "Gemm"}
            or node.input[1] not in matrices
            or REATTENTION in node.name
        ):
            continue
        transposed = any(item.name == "transB" and item.i for item in node.attribute)
        found.append(WeightProduct(node.name, node.input[0], node.input[1], 0 if transposed else 1))
    return tuple(found)
