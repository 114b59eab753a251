"""Move outliers of activations into the weights before quantisation (SmoothQuant, arXiv 2211.10438)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from mghft_export.precision.matrix_products import WeightProduct

FloatArray = npt.NDArray[np.float32]
SMALLEST = 1e-5
"""A channel is dead, and keeps its scale, if its maximum is at most this part of the largest channel's."""


@dataclass(frozen=True)
class SmoothableNorm:
    """A LayerNormalization that shares no parameter with another node. Only products with constant weights read it.

    So a factor can move from its scale and shift into the products' weights.

    Attributes:
        output: the name of its output.
        scale: the name of its scale.
        shift: the name of its shift.
        products: the products that read it.
    """

    output: str
    scale: str
    shift: str
    products: tuple[WeightProduct, ...]


def smoothable_norms(graph: onnx.GraphProto, products: Sequence[WeightProduct]) -> tuple[SmoothableNorm, ...]:
    """The norms of a graph that only these products read, and that share no parameter.

    These norms are left out: norms before a spatial reduction, because reshapes read them, too; BERT's norms, because
    residual additions read them, too; and the first norm of stage 4's last block, because it is applied to several
    parts of the block's tokens.
    """
    values = ir.serde.deserialize_graph(graph)
    found = []
    for node in values:
        if node.op_type != "LayerNormalization" or len(node.inputs) < 3:
            continue
        output, (scale, shift) = node.outputs[0], node.inputs[1:3]
        own = tuple(item for item in products if item.activation == output.name)
        names = sorted(item.name for item in own)
        only_products = own and names == _readers(output)
        unshared = _readers(scale) == _readers(shift) == [node.name]
        weights = [values.initializers[item.weight] for item in own]
        if only_products and unshared and all(set(_readers(weight)) <= set(names) for weight in weights):
            assert scale is not None
            assert shift is not None
            found.append(SmoothableNorm(str(output.name), str(scale.name), str(shift.name), own))
    return tuple(found)


def _readers(value: ir.Value | None) -> list[str]:
    """Names of the nodes that read a value. A node that reads it twice is named twice."""
    return [] if value is None else sorted(str(node.name) for node, _ in value.uses())


def smooth(
    model: onnx.ModelProto,
    norms: Sequence[SmoothableNorm],
    maxima: Mapping[str, FloatArray],
    alpha: float,
) -> None:
    """Divide each norm's channels by a factor and multiply the weights' rows by it, in place.

    The graph still computes the same function.

    Args:
        maxima: the largest magnitude of each channel of each norm's output
            (:func:`~mghft_export.precision.observe.observe_channel_maxima`).
        alpha: how much of the outliers moves from activations to weights: 0 nothing, 1 all.
    """
    values = {item.name: item for item in model.graph.initializer}

    def scale_by(name: str, factor: FloatArray) -> None:
        array = numpy_helper.to_array(values[name])
        values[name].CopyFrom(numpy_helper.from_array((array * factor).astype(array.dtype), name))

    for norm in norms:
        weights = [
            np.abs(numpy_helper.to_array(values[item.weight])).max(axis=item.channel_axis)
            for item in norm.products
        ]
        factor = smoothing_factor(maxima[norm.output], np.max(weights, axis=0), alpha)
        scale_by(norm.scale, np.reciprocal(factor))
        scale_by(norm.shift, np.reciprocal(factor))
        for name, axis in {item.weight: item.channel_axis for item in norm.products}.items():
            scale_by(name, np.expand_dims(factor, axis))


def smoothing_factor(activation: FloatArray, weight: FloatArray, alpha: float) -> FloatArray:
    """max|x|^alpha / max|w|^(1 - alpha) of each channel; 1 for a dead channel."""
    alive = (activation > SMALLEST * activation.max()) & (weight > SMALLEST * weight.max())
    safe_activation = np.where(alive, activation, 1).astype(np.float64)
    safe_weight = np.where(alive, weight, 1).astype(np.float64)
    factor = safe_activation**alpha / safe_weight ** (1 - alpha)
    return np.where(alive, factor, 1).astype(np.float32)
