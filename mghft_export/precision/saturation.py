"""Keep sums of INT8 products within 16 bits, so that every CPU computes what the INT8 graph says.

An x86 CPU without VNNI multiplies unsigned activations with signed weights by the instruction VPMADDUBSW. It adds two
neighbouring products in a 16-bit register, and that register saturates. ONNX Runtime shifts signed activations by 128,
so they go up to 255. If both weights of a pair have the same sign, the sum of their products is safe as long as the
weights add up to at most 128 (255 * 128 = 32640; the register ends at 32767). Weights of opposite signs are always
safe.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

PAIR_LIMIT = 128
"""Largest allowed magnitude of the sum of two neighbouring 8-bit weights of the same sign."""

Matrix = npt.NDArray[Any]


def pairs(weight: Matrix, axis: int) -> Matrix:
    """Pair neighbouring weights along the summed dimension: [pairs, 2, channels].

    If the number of rows is odd, the last row is paired with zeros.

    Args:
        weight: the weight of a product, two-dimensional.
        axis: the dimension of the output channels.
    """
    rows = weight if axis == 1 else weight.T
    padded = np.pad(rows, ((0, len(rows) % 2), (0, 0)))
    grouped: Matrix = padded.reshape(-1, 2, rows.shape[1])
    return grouped


def pair_sums(weight: Matrix, axis: int) -> Matrix:
    """For each output channel, the largest magnitude of one weight or of the sum of two neighbours of the same sign."""
    grouped = pairs(weight, axis)
    positive = np.maximum(grouped, 0).sum(axis=1, dtype=np.float64)
    negative = np.minimum(grouped, 0).sum(axis=1, dtype=np.float64)
    found: Matrix = np.maximum(positive, -negative).max(axis=0)
    return found


def limit_pairs(levels: Matrix, exact: Matrix, axis: int) -> Matrix:
    """Return rounded weights with every pair within the limit.

    The scale leaves room for the exact weights, so a pair is too large only if both weights were rounded up. In that
    case the weight that was rounded up by more loses one level.

    Args:
        levels: `exact`, rounded to whole numbers.
        exact: the weights in units of the scale.
        axis: the dimension of the output channels.
    """
    grouped = pairs(levels, axis).copy()
    rounded_up = np.abs(grouped) - np.abs(pairs(exact, axis))
    same_sign = grouped[:, 0] * grouped[:, 1] > 0
    excess = same_sign & (np.abs(grouped.sum(axis=1)) > PAIR_LIMIT)
    pair, channel = np.nonzero(excess)
    worst = rounded_up[pair, :, channel].argmax(axis=1)
    grouped[pair, worst, channel] -= np.sign(grouped[pair, worst, channel])
    rows: Matrix = grouped.reshape(-1, grouped.shape[2])[: levels.shape[1 - axis]]
    return rows if axis == 1 else rows.T


def saturating_products(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Names of the INT8 products of a graph that a CPU without VNNI may compute wrongly."""
    initializers = {item.name: item for item in graph.initializer}
    dequantized = {
        node.output[0]: (
            initializers[node.input[0]],
            next((a.i for a in node.attribute if a.name == "axis"), 1),
        )
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in initializers
    }
    found = []
    for node in graph.node:
        if node.op_type in {"MatMul", "Gemm"} and node.input[1] in dequantized:
            weight, axis = dequantized[node.input[1]]
            if pair_sums(numpy_helper.to_array(weight), axis).max() > PAIR_LIMIT:
                found.append(node.name)
    return tuple(found)
