"""Explicit quantisation: QuantizeLinear and DequantizeLinear around the inputs of products with constant weights.

Weights are symmetric per output channel, activations symmetric per tensor, and a product's output stays as it is: so
attention products, residual additions, norms, softmax and GELU see no quantised value, and a tensor that several
products read is quantised once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from mghft_export.graph.edits import drop_unread, sort_topologically
from mghft_export.precision.products import WeightProduct
from mghft_export.precision.saturation import PAIR_LIMIT, limit_pairs, pair_sums

LEVELS = 127
"""Largest magnitude of a symmetric 8-bit value: -128 is not used."""

SMALLEST_SCALE = 2.0**-14
"""FP16's smallest normal number: below it a scale would lose digits in the FP16 form of the graph."""


def insert_qdq(
    model: onnx.ModelProto,
    products: Sequence[WeightProduct],
    ranges: Mapping[str, float],
    *,
    sums_in_16_bits: bool = True,
) -> None:
    """Quantise products, in place.

    Args:
        products: of this graph (:func:`~mghft_export.precision.products.weight_products`), those to quantise.
        ranges: largest magnitude of each product's activation.
        sums_in_16_bits: as of :func:`quantise_weight`.
    """
    graph = model.graph
    weights = {item.name: item for item in graph.initializer}
    nodes = {node.name: node for node in graph.node}
    for name in dict.fromkeys(product.activation for product in products):
        _quantise_activation(graph, name, ranges[name])
    for name, axis in dict.fromkeys((product.weight, product.channel_axis) for product in products):
        _quantise_weight(graph, weights[name], axis, sums_in_16_bits)
    for product in products:
        node = nodes[product.name]
        node.input[0] = f"{product.activation}.dequantized"
        node.input[1] = f"{product.weight}.dequantized"
    drop_unread(graph)
    sort_topologically(graph)
    del graph.value_info[:]


def quantise_weight(
    weight: npt.NDArray[np.float32], axis: int, *, sums_in_16_bits: bool = True
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Symmetric int8 and the scale of each channel along `axis`: weight ~ quantised * scale.

    Args:
        sums_in_16_bits: keep two neighbouring products within 16 bits (:mod:`.saturation`), for CPUs without VNNI.
            Where the largest pair of a channel needs it, the channel's scale is larger than its largest weight needs.
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
    """Scales whose 127th multiple holds a magnitude, rounded so that FP16 has them exactly."""
    scale = np.maximum(np.asarray(largest, dtype=np.float64) / LEVELS, SMALLEST_SCALE)
    return scale.astype(np.float16).astype(np.float32)


def _quantise_activation(graph: onnx.GraphProto, name: str, largest: float) -> None:
    graph.initializer.extend(
        [
            numpy_helper.from_array(scale_of(np.float32(largest)), f"{name}.scale"),
            numpy_helper.from_array(np.int8(0), f"{name}.zero_point"),
        ]
    )
    scaling = [f"{name}.scale", f"{name}.zero_point"]
    graph.node.extend(
        [
            helper.make_node(
                "QuantizeLinear", [name, *scaling], [f"{name}.quantized"], f"{name}.QuantizeLinear"
            ),
            helper.make_node(
                "DequantizeLinear",
                [f"{name}.quantized", *scaling],
                [f"{name}.dequantized"],
                f"{name}.DequantizeLinear",
            ),
        ]
    )


def _quantise_weight(
    graph: onnx.GraphProto, weight: onnx.TensorProto, axis: int, sums_in_16_bits: bool
) -> None:
    name = weight.name
    quantised, scale = quantise_weight(numpy_helper.to_array(weight), axis, sums_in_16_bits=sums_in_16_bits)
    parts: dict[str, npt.NDArray[Any]] = {
        "quantized": quantised,
        "scale": scale,
        "zero_point": np.zeros(len(scale), np.int8),
    }
    graph.initializer.extend(numpy_helper.from_array(value, f"{name}.{key}") for key, value in parts.items())
    graph.node.append(
        helper.make_node(
            "DequantizeLinear",
            [f"{name}.{key}" for key in parts],
            [f"{name}.dequantized"],
            f"{name}.DequantizeLinear",
            axis=axis,
        )
    )
