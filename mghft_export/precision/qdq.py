"""Quantise explicitly: put QuantizeLinear and DequantizeLinear before the inputs of products with constant weights.

Weights are quantised symmetrically per output channel, activations symmetrically per tensor. A product's output is not
quantised, so attention products, residual additions, norms, softmax and GELU read no quantised value. A tensor that
several products read is quantised once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from mghft_export.graph.edits import add_constant
from mghft_export.precision.matrix_products import WeightProduct
from mghft_export.precision.saturation import PAIR_LIMIT, limit_pairs, pair_sums

LEVELS = 127
"""Largest magnitude of a symmetric 8-bit value; -128 is not used."""

SMALLEST_SCALE = 2.0**-14
"""FP16's smallest normal number. A smaller scale would lose digits in the FP16 form of the graph."""


def insert_qdq(
    model: ir.Model,
    products: Sequence[WeightProduct],
    ranges: Mapping[str, float],
    *,
    sums_in_16_bits: bool = True,
) -> None:
    """Quantise products, in place.

    Args:
        products: the products to quantise;
            :func:`~mghft_export.precision.matrix_products.weight_products` lists those of this graph.
        ranges: the largest magnitude of each product's activation.
        sums_in_16_bits: passed on to :func:`quantise_weight`.
    """
    graph = model.graph
    nodes = {node.name: node for node in graph}
    dequantised: dict[ir.Value, ir.Value] = {}
    # All activations come before all weights, because files keep the order in which constants were added.
    for product in products:
        activation = nodes[product.name].inputs[0]
        if activation is not None and activation not in dequantised:
            dequantised[activation] = _quantise_activation(graph, activation, ranges[product.activation])
    for product in products:
        weight = nodes[product.name].inputs[1]
        if weight is not None and weight not in dequantised:
            dequantised[weight] = _quantise_weight(graph, weight, product.channel_axis, sums_in_16_bits)
    for product in products:
        node = nodes[product.name]
        for place in (0, 1):
            value = node.inputs[place]
            assert value is not None
            node.replace_input_with(place, dequantised[value])


def quantise_weight(
    weight: npt.NDArray[np.float32], axis: int, *, sums_in_16_bits: bool = True
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Symmetric int8 weights, and the scale of each channel along `axis`: weight ~ quantised * scale.

    Args:
        sums_in_16_bits: keep the sum of two neighbouring products within 16 bits (:mod:`.saturation`), for CPUs without
            VNNI. In some channels the largest pair then needs a larger scale than the largest weight does.
    """
    largest = np.abs(weight).max(axis=1 - axis)
    if sums_in_16_bits:
        largest = np.maximum(largest, pair_sums(weight, axis) * (LEVELS / PAIR_LIMIT))
    scale = scale_of(largest)
    exact = weight / np.expand_dims(scale, 1 - axis)
    levels = np.clip(np.rint(exact), -LEVELS, LEVELS)
    if sums_in_16_bits:
        levels = limit_pairs(levels, exact, axis)
    return levels.astype(np.int8), scale


def scale_of(largest: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scales for these largest magnitudes, about 1/127 of each, rounded to values that FP16 holds exactly."""
    scale = np.maximum(np.asarray(largest, dtype=np.float64) / LEVELS, SMALLEST_SCALE)
    return scale.astype(np.float16).astype(np.float32)


def _quantise_activation(graph: ir.Graph, value: ir.Value, largest: float) -> ir.Value:
    name = str(value.name)
    scaling = [
        add_constant(graph, f"{name}.scale", scale_of(np.float32(largest))),
        add_constant(graph, f"{name}.zero_point", np.asarray(0, np.int8)),
    ]
    quantised = ir.node("QuantizeLinear", [value, *scaling], name=f"{name}.QuantizeLinear")
    quantised.outputs[0].name = f"{name}.quantized"
    dequantised = ir.node(
        "DequantizeLinear", [quantised.outputs[0], *scaling], name=f"{name}.DequantizeLinear"
    )
    dequantised.outputs[0].name = f"{name}.dequantized"
    graph.extend([quantised, dequantised])
    return dequantised.outputs[0]


def _quantise_weight(graph: ir.Graph, weight: ir.Value, axis: int, sums_in_16_bits: bool) -> ir.Value:
    name = str(weight.name)
    assert weight.const_value is not None
    quantised, scale = quantise_weight(weight.const_value.numpy(), axis, sums_in_16_bits=sums_in_16_bits)
    parts: dict[str, npt.NDArray[Any]] = {
        "quantized": quantised,
        "scale": scale,
        "zero_point": np.zeros(len(scale), np.int8),
    }
    inputs = [add_constant(graph, f"{name}.{key}", value) for key, value in parts.items()]
    node = ir.node("DequantizeLinear", inputs, {"axis": axis}, name=f"{name}.DequantizeLinear")
    node.outputs[0].name = f"{name}.dequantized"
    graph.append(node)
    return node.outputs[0]
