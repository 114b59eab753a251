"""Quantise a float32 graph to INT8: products with constant weights read Q/DQ nodes, all other nodes stay float."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal

import onnx
import onnx_ir as ir
from onnx import version_converter

from mghft_export.errors import MGHFTError
from mghft_export.graph.edits import clean, edited
from mghft_export.precision.cpu_form import approximate_gelu, slice_feed_forwards
from mghft_export.precision.fp16 import to_fp16
from mghft_export.precision.half_constants import store_constants_in_half
from mghft_export.precision.matrix_products import weight_products
from mghft_export.precision.qdq import insert_qdq

OPSET = 20
"""Scales of Q/DQ may be FP16 from opset 19 on, and Gelu exists from opset 20 on."""

Form = Literal["plain", "cpu", "half"]
"""`plain`: float32 around the Q/DQ. `cpu`: the same, arranged for ONNX Runtime on a CPU. `half`: FP16, for GPUs.

The weights of `plain` and `cpu` are limited so that CPUs without VNNI do not saturate (:mod:`.saturation`). GPUs do not
need this, so the weights of `half` use all 8 bits."""


def to_int8(
    model: onnx.ModelProto,
    ranges: Mapping[str, float],
    *,
    form: Form = "cpu",
    float_layers: Collection[str] = (),
) -> onnx.ModelProto:
    """Quantise a graph.

    Args:
        model: a float32 graph, smoothed or not. It is not changed.
        ranges: the largest magnitude of each product's activation, measured on this graph.
        float_layers: names of products that are not quantised.

    Raises:
        MGHFTError: `float_layers` names a product that the graph does not have, or an activation has no range.
    """
    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    if _opset(quantised) < OPSET:
        quantised = version_converter.convert_version(quantised, OPSET)
    products = weight_products(quantised.graph)
    unknown = sorted(set(float_layers) - {item.name for item in products})
    if unknown:
        raise MGHFTError(
            f"the graph has no layer {unknown[0]!r} to keep in float; the recipe is of another model"
        )
    chosen = [item for item in products if item.name not in float_layers]
    missing = [item.activation for item in chosen if item.activation not in ranges]
    if missing:
        raise MGHFTError(f"there is no range for {missing[0]!r}; calibrate again")
    edits: list[Callable[[ir.Model], object]] = [
        lambda graph: insert_qdq(graph, chosen, ranges, sums_in_16_bits=form != "half")
    ]
    if form == "cpu":
        edits += [clean, approximate_gelu, slice_feed_forwards, store_constants_in_half]
    quantised = edited(quantised, *edits)
    return to_fp16(quantised) if form == "half" else quantised


def _opset(model: onnx.ModelProto) -> int:
    return next(int(item.version) for item in model.opset_import if item.domain in ("", "ai.onnx"))
