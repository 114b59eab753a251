"""Which attentions of a graph must become fused kernels, and which of them did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from mghft_export.engines.engine_layers import Layer
from mghft_export.graph.promises import fusable_attentions

LARGEST_HEAD = 256
"""Channels of a head up to which fused kernels exist (found with TensorRT-RTX 1.7.1: 256 fuses, 512 does not). Above it
are only the paper's two attentions of the fusion head over undivided channels, which have few rows."""

FUSED_KERNELS = ("_gemm_mha_v", "_gemv_mha_v")
"""How the names of fused attention kernels begin; the second is for a single query."""


@dataclass(frozen=True)
class FusedAttentions:
    """The result of a count.

    Attributes:
        expected: names of the softmaxes whose attentions must be fused, in order of the graph.
        missing: those that are not, in at least one profile.
    """

    expected: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def fused(self) -> int:
        """How many are."""
        return len(self.expected) - len(self.missing)


def attentions_to_fuse(path: Path) -> tuple[str, ...]:
    """Softmaxes of a graph's fusable attentions, those in FP16 with heads of at most 256 channels."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    graph = model.graph
    types = {item.name: item.type.tensor_type for item in [*graph.input, *graph.value_info, *graph.output]}
    producer = {output: node for node in graph.node for output in node.output}
    by_name = {node.name: node for node in graph.node}
    wanted = []
    for name in fusable_attentions(graph):
        (value,) = (node for node in graph.node if by_name[name].output[0] in node.input)
        query = _query(by_name[name], producer)
        half = types[value.output[0]].elem_type == onnx.TensorProto.FLOAT16
        if half and types[query].shape.dim[-1].dim_value <= LARGEST_HEAD:
            wanted.append(name)
    return tuple(wanted)


def _query(softmax: onnx.NodeProto, producer: dict[str, onnx.NodeProto]) -> str:
    """The first input of the product whose result, scaled and masked, a softmax reads."""
    node = producer[softmax.input[0]]
    while node.op_type != "MatMul":
        node = next(producer[name] for name in node.input if name in producer)
    return str(node.input[0])


def count_fused(expected: Sequence[str], layers: Sequence[Layer], profiles: int) -> FusedAttentions:
    """Look for each attention in the fused kernels of every profile; an engine has kernels of its own for each."""
    kernels = [layer for layer in layers if layer.name.startswith(FUSED_KERNELS)]
    missing = [name for name in expected if sum(name in layer.nodes for layer in kernels) < profiles]
    return FusedAttentions(tuple(expected), tuple(missing))


def block_name(softmax: str) -> str:
    """The block of an attention: `stage1.blocks.0.attention` of its softmax's name."""
    return softmax.rsplit(".", 1)[0]
