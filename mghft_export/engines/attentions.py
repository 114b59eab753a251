"""Which attentions of a graph must become fused kernels, and which of them did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from mghft_export.engines.engine_layers import Layer
from mghft_export.graph.graph_checks import fusable_attentions, score_product

LARGEST_HEAD = 256
"""Most channels of a head that fused kernels exist for (found with TensorRT-RTX 1.7.1: 256 fuses, 512 does not). In the
paper's model only two attentions of the fusion head have more: they do not divide their channels, and have few rows."""

FUSED_KERNELS = ("_gemm_mha_v", "_gemv_mha_v")
"""Prefixes of the names of fused attention kernels. The second one is for a single query."""


@dataclass(frozen=True)
class FusedAttentions:
    """Which attentions of an engine are fused.

    Attributes:
        expected: names of the softmaxes of the attentions that must be fused, in the order of the graph.
        missing: names of the softmaxes of those that are not fused in at least one profile.
    """

    expected: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def fused(self) -> int:
        """How many attentions are fused in every profile."""
        return len(self.expected) - len(self.missing)


def attentions_to_fuse(path: Path) -> tuple[str, ...]:
    """Names of the softmaxes of a graph's fusable attentions in FP16, with heads of at most 256 channels."""
    model = ir.load(path)
    ShapeInferencePass()(model)
    wanted = []
    for softmax in fusable_attentions(model.graph):
        scores = score_product(softmax)
        query = None if scores is None else scores.inputs[0]
        if query is None or query.shape is None or query.dtype != ir.DataType.FLOAT16:
            continue
        channels = query.shape[-1]
        if isinstance(channels, int) and channels <= LARGEST_HEAD:
            wanted.append(str(softmax.name))
    return tuple(wanted)


def count_fused(expected: Sequence[str], layers: Sequence[Layer], profiles: int) -> FusedAttentions:
    """Look for each attention in the fused kernels of every profile; each profile has its own kernels."""
    kernels = [layer for layer in layers if layer.name.startswith(FUSED_KERNELS)]
    missing = [name for name in expected if sum(name in layer.nodes for layer in kernels) < profiles]
    return FusedAttentions(tuple(expected), tuple(missing))


def block_name(softmax: str) -> str:
    """The block of an attention, from its softmax's name: for example, `stage1.blocks.0.attention`."""
    return softmax.rsplit(".", 1)[0]
