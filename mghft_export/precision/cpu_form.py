"""Change an INT8 graph to the form that ONNX Runtime runs fastest on a CPU.

Once the products are 8-bit, the rest of a feed-forward block is the bottleneck: its hidden tensors do not fit the
cache, and the exact GELU takes as long as the products around it. So GELU becomes its tanh approximation, with an error
of at most 5e-4, a fraction of the error of 8 bits. Long sequences go through the block in slices of tokens.
docs/precision.md has measurements of both. The form for TensorRT keeps whole sequences and the exact GELU.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from mghft_export.graph.edits import add_constant, clean, input_of

TOKENS = 1024
"""Length of the longest slice of a sequence."""


@dataclass(frozen=True)
class FeedForward:
    """quantise -> product -> bias -> GELU -> quantise -> product -> bias. No other node reads the values in between."""

    nodes: tuple[ir.Node, ...]

    @property
    def source(self) -> ir.Value:
        """The value that the first node reads."""
        value = self.nodes[0].inputs[0]
        assert value is not None
        return value


def approximate_gelu(model: ir.Model) -> int:
    """Replace each x * (erf(x / sqrt 2) + 1) / 2 of the exporter by one Gelu operator with tanh; return how many.

    The bias before a GELU becomes a row, [1, 1, C]: ONNX Runtime would merge a flat bias with the GELU into an older,
    slower operator.
    """
    graph = model.graph
    found = [node for node in graph if node.op_type == "Erf"]
    for erf in found:
        scaled = input_of(erf, 0).producer()
        assert scaled is not None
        source, result = input_of(scaled, 0), erf.outputs[0]
        # The elementwise nodes that follow belong to the formula. The last of them makes its result.
        while (following := _only_reader(result, {"Add", "Mul"})) and _belongs(following, result, source):
            result = following.outputs[0]
        gelu = ir.node("Gelu", [source], {"approximate": "tanh"}, name=str(erf.name).replace("Erf", "Gelu"))
        graph.append(gelu)
        name, result.name = result.name, f"{result.name}.exact"
        result.replace_all_uses_with(gelu.outputs[0], replace_graph_outputs=True)
        gelu.outputs[0].name = name
        _make_row_of_bias(source.producer())
    clean(model)
    return len(found)


def _belongs(node: ir.Node, inner: ir.Value, source: ir.Value) -> bool:
    """Whether a node belongs to the formula: the other input is a number, the formula's input, or half of it."""
    other = next((value for value in node.inputs if value is not inner), None)
    if other is None:
        return False
    if other is source or (other.const_value is not None and other.const_value.shape.rank() == 0):
        return True
    maker = other.producer()
    return maker is not None and maker.op_type == "Mul" and source in maker.inputs


def _make_row_of_bias(bias: ir.Node | None) -> None:
    if bias is None or bias.op_type != "Add":
        return
    for value in bias.inputs:
        if value is not None and value.const_value is not None and value.const_value.shape.rank() == 1:
            row = value.const_value.numpy()[None, None]
            value.const_value, value.shape = ir.tensor(row, name=value.name), ir.Shape(row.shape)


def slice_feed_forwards(model: ir.Model, tokens: int = TOKENS) -> int:
    """Make feed-forward blocks run sequences longer than `tokens` in slices, in place; return how many blocks."""
    graph = model.graph
    ShapeInferencePass()(model)
    blocks = [(item, length) for item in _feed_forwards(graph) if (length := _length(item.source)) > tokens]
    for block, length in blocks:
        count = -(-length // tokens)
        sizes = np.array([length // count + (number < length % count) for number in range(count)], np.int64)
        name, result = str(block.source.name), block.nodes[-1].outputs[0]
        cuts = add_constant(graph, f"{name}.slices", sizes)
        split = ir.node("Split", [block.source, cuts], {"axis": 1}, num_outputs=count, name=f"{name}.Split")
        for number, part in enumerate(split.outputs):
            part.name = f"{name}.slice{number}"
        graph.append(split)
        results = [_copy(graph, block, part, number) for number, part in enumerate(split.outputs)]
        joined = ir.node("Concat", results, {"axis": 1}, name=f"{result.name}.Concat")
        graph.append(joined)
        whole, result.name = result.name, f"{result.name}.whole"
        result.replace_all_uses_with(joined.outputs[0], replace_graph_outputs=True)
        joined.outputs[0].name = whole
    clean(model)
    return len(blocks)


def _copy(graph: ir.Graph, block: FeedForward, source: ir.Value, number: int) -> ir.Value:
    """Copy the block for one slice; return the result of the copy."""
    instead: dict[ir.Value | None, ir.Value | None] = {block.source: source}
    for node in block.nodes:
        copy = ir.Node(
            node.domain,
            node.op_type,
            [instead.get(value, value) for value in node.inputs],
            node.attributes.values(),
            name=f"{node.name}.slice{number}",
        )
        copy.outputs[0].name = f"{node.outputs[0].name}.slice{number}"
        instead[node.outputs[0]] = copy.outputs[0]
        graph.append(copy)
    return copy.outputs[0]


def _feed_forwards(graph: ir.Graph) -> list[FeedForward]:
    """All blocks of the pattern around a Gelu."""
    found = []
    for gelu in [node for node in graph if node.op_type == "Gelu"]:
        before = _upwards(gelu, ("Add", "MatMul", "DequantizeLinear", "QuantizeLinear"))
        after = _downwards(gelu, ("QuantizeLinear", "DequantizeLinear", "MatMul", "Add"))
        if before is None or after is None:
            continue
        nodes = (*before[::-1], gelu, *after)
        # A value that other nodes read, too, cannot move into the slices.
        if all(len(node.outputs[0].uses()) == 1 for node in nodes[:-1]):
            found.append(FeedForward(nodes))
    return found


def _upwards(node: ir.Node, operators: tuple[str, ...]) -> list[ir.Node] | None:
    path = []
    for operator in operators:
        makers = [value.producer() for value in node.inputs if value is not None]
        # A product's weight comes from a DequantizeLinear too; its activation is the first input.
        found = next((item for item in makers if item is not None and item.op_type == operator), None)
        if found is None:
            return None
        path.append(found)
        node = found
    return path


def _downwards(node: ir.Node, operators: tuple[str, ...]) -> list[ir.Node] | None:
    path = []
    for operator in operators:
        following = _only_reader(node.outputs[0], {operator})
        if following is None:
            return None
        path.append(following)
        node = following
    return path


def _only_reader(value: ir.Value, operators: Set[str]) -> ir.Node | None:
    """The node that reads a value, if it is the only reader and has one of these operators."""
    readers = [node for node, _ in value.uses()]
    return readers[0] if len(readers) == 1 and readers[0].op_type in operators else None


def _length(value: ir.Value) -> int:
    """The length N of a sequence [B, N, C]; 0 if it is not known."""
    length = value.shape[1] if value.shape is not None and value.shape.rank() == 3 else 0
    return length if isinstance(length, int) else 0
