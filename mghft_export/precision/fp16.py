"""A float32 graph in FP16, but for what needs float32."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper
from onnxconverter_common import float16

from mghft_export.graph.edits import REATTENTION, sort_topologically

LARGE = 1e4
"""Magnitudes above this are reported: FP16 ends at 65504, and other stickers may go further."""


def to_fp16(model: onnx.ModelProto, *, half_io: bool = False) -> onnx.ModelProto:
    """Convert a graph; the re-attention stays in float32 behind casts.

    That keeps the selection of tokens, which hangs on small differences of scores, and keeps the recomputed softmaxes
    apart from the attention's own, which TensorRT can only then fuse.

    Args:
        model: left as it is.
        half_io: inputs and outputs in FP16 too; else they stay in float32.
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
    _retarget_casts(converted.graph, original)
    _halve_forgotten_constants(converted.graph, original)
    sort_topologically(converted.graph)
    del converted.graph.value_info[:]
    return converted


def _retarget_casts(graph: onnx.GraphProto, half: set[str]) -> None:
    """Casts to float32 that the graph had before, as of attention masks: the converter leaves them as they are."""
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and node.name in half and attribute.i == onnx.TensorProto.FLOAT:
                attribute.i = onnx.TensorProto.FLOAT16


def _halve_forgotten_constants(graph: onnx.GraphProto, half: set[str]) -> None:
    """Constants that meet such a cast in an operator: the converter leaves these too."""
    floats = {item.name: item for item in graph.initializer if item.data_type == onnx.TensorProto.FLOAT}
    for node in graph.node:
        if node.op_type != "Cast" and node.name in half:
            for name in floats.keys() & set(node.input):
                array = numpy_helper.to_array(floats.pop(name)).astype(np.float16)
                item = next(item for item in graph.initializer if item.name == name)
                item.CopyFrom(numpy_helper.from_array(array, name))


def too_large(magnitudes: Mapping[str, float], limit: float = LARGE) -> dict[str, float]:
    """The tensors above a limit, largest first."""
    found = {name: value for name, value in magnitudes.items() if value > limit}
    return dict(sorted(found.items(), key=lambda item: -item[1]))
