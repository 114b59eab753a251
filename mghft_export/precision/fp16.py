"""Convert a float32 graph to FP16, except for the nodes that need float32."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
from onnxconverter_common import float16

from mghft_export.graph.edits import REATTENTION, edited

LARGE = 1e4
"""Magnitudes above this are reported. FP16 ends at 65504, and other stickers may give larger values."""


def to_fp16(model: onnx.ModelProto, *, half_io: bool = False) -> onnx.ModelProto:
    """Convert a graph to FP16; the re-attention stays in float32, between casts.

    The re-attention selects tokens, and small differences of scores decide which. Float32 keeps this selection. It
    also lets TensorRT fuse the attention, because it separates the recomputed softmaxes from the attention's own.

    Args:
        model: a float32 graph, which is not changed.
        half_io: convert inputs and outputs to FP16, too. Otherwise they stay in float32.
    """
    island = [node.name for node in model.graph.node if REATTENTION in node.name]
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one warning for each weight too small for FP16
        converted: onnx.ModelProto = float16.convert_float_to_float16(
            copy, keep_io_types=not half_io, op_block_list=[], node_block_list=island, min_positive_val=6e-8
        )
    original = {node.name for node in model.graph.node} - set(island)
    return edited(converted, lambda half: _finish_half(half.graph, original))


def _finish_half(graph: ir.Graph, original: set[str]) -> None:
    """Convert to FP16 what the converter leaves in float32.

    The converter leaves casts to float32 that the graph had before, for example those of attention masks. It also
    leaves constants that meet the result of one of these casts in an operator.

    Args:
        original: names of the nodes that compute in FP16 now.
    """
    for node in graph:
        if node.name not in original:
            continue
        if node.op_type == "Cast":
            if node.attributes.get_int("to") == ir.DataType.FLOAT:
                node.attributes.add(ir.AttrInt64("to", ir.DataType.FLOAT16))
            continue
        for value in node.inputs:
            if value is None or value.const_value is None or value.dtype != ir.DataType.FLOAT:
                continue
            half = value.const_value.numpy().astype(np.float16)
            value.const_value = ir.tensor(half, name=value.name)
            value.dtype = ir.DataType.FLOAT16


def too_large(magnitudes: Mapping[str, float], limit: float = LARGE) -> dict[str, float]:
    """The tensors with magnitudes above a limit, largest first."""
    found = {name: value for name, value in magnitudes.items() if value > limit}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
