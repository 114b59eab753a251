"""The INT8 graph in the form that ONNX Runtime runs fastest on a CPU.

With 8-bit products the rest of a feed-forward block becomes what is waited for: its hidden tensors do not fit the
cache, and the exact GELU costs as much as the products around it. So GELU becomes its tanh approximation (at most
5e-4 away, a fraction of what 8 bits cost), and long sequences go through the block in slices of tokens. Both are
measured in docs/precision.md. The form for TensorRT keeps whole sequences and the exact GELU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mghft_export.graph.edits import drop_unread, sort_topologically

TOKENS = 1024
"""Longest slice of a sequence."""


@dataclass(frozen=True)
class FeedForward:
    """quantise -> product -> bias -> GELU -> quantise -> product -> bias, and nothing else reads what is between."""

    nodes: tuple[onnx.NodeProto, ...]
    source: str
    result: str


def approximate_gelu(graph: onnx.GraphProto) -> int:
    """x * (erf(x / sqrt 2) + 1) / 2, as the exporter writes it, becomes one Gelu operator with tanh; returns how many.

    The biases before become rows: ONNX Runtime would merge a flat one with the GELU into an older, slower operator.
    """
    makers = {output: node for node in graph.node for output in node.output}
    readers = _readers(graph)
    values = {item.name: item for item in graph.initializer}
    count = 0
    for erf in [node for node in graph.node if node.op_type == "Erf"]:
        source = makers[erf.input[0]].input[0]
        result = erf.output[0]
        while True:  # ends at the last of the elementwise nodes that only belong to the formula
            following = readers.get(result, [])
            inside = len(following) == 1 and following[0].op_type in {"Add", "Mul"}
            if not inside or not _belongs(following[0], result, source, values, makers):
                break
            result = following[0].output[0]
        name = erf.name.replace("Erf", "Gelu")
        for node in graph.node:  # whoever made the result's name hands it over
            node.output[:] = [f"{item}.exact" if item == result else item for item in node.output]
        graph.node.append(helper.make_node("Gelu", [source], [result], name, approximate="tanh"))
        bias = makers.get(source)
        for name in bias.input if bias is not None and bias.op_type == "Add" else []:
            if name in values and len(values[name].dims) == 1:
                row = numpy_helper.to_array(values[name])[None, None]
                values[name].CopyFrom(numpy_helper.from_array(row, name))
        count += 1
    drop_unread(graph)
    sort_topologically(graph)
    return count


def _belongs(
    node: onnx.NodeProto,
    inner: str,
    source: str,
    values: dict[str, onnx.TensorProto],
    makers: dict[str, onnx.NodeProto],
) -> bool:
    """Whether a node of the formula's tail: its other input is a constant, the formula's input, or half of that."""
    other = next((name for name in node.input if name != inner), "")
    if other == source or (other in values and not values[other].dims):
        return True
    maker = makers.get(other)
    return maker is not None and maker.op_type == "Mul" and source in maker.input


def slice_feed_forwards(model: onnx.ModelProto, tokens: int = TOKENS) -> int:
    """Run feed-forward blocks on sequences longer than `tokens` slice after slice, in place; returns how many."""
    graph = model.graph
    lengths = _sequence_lengths(model)
    blocks = [item for item in _feed_forwards(graph) if lengths.get(item.source, 0) > tokens]
    for block in blocks:
        length = lengths[block.source]
        count = -(-length // tokens)
        sizes = [length // count + (number < length % count) for number in range(count)]
        graph.initializer.append(numpy_helper.from_array(np.array(sizes, np.int64), f"{block.source}.slices"))
        slices = [f"{block.source}.slice{number}" for number in range(count)]
        graph.node.append(
            helper.make_node(
                "Split", [block.source, f"{block.source}.slices"], slices, f"{block.source}.Split", axis=1
            )
        )
        results = [_copy(graph, block, name, number) for number, name in enumerate(slices)]
        for node in block.nodes:
            graph.node.remove(node)
        graph.node.append(
            helper.make_node("Concat", results, [block.result], f"{block.result}.Concat", axis=1)
        )
    sort_topologically(graph)
    del graph.value_info[:]
    return len(blocks)


def _copy(graph: onnx.GraphProto, block: FeedForward, source: str, number: int) -> str:
    renamed = {block.source: source}
    for node in block.nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{node.name}.slice{number}"
        copy.input[:] = [renamed.get(name, name) for name in node.input]
        renamed |= {name: f"{name}.slice{number}" for name in node.output}
        copy.output[:] = [renamed[name] for name in node.output]
        graph.node.append(copy)
    return renamed[block.result]


def _feed_forwards(graph: onnx.GraphProto) -> list[FeedForward]:
    """All blocks of the pattern around a Gelu."""
    makers = {output: node for node in graph.node for output in node.output}
    readers = _readers(graph)
    found = []
    for gelu in [node for node in graph.node if node.op_type == "Gelu"]:
        before = _upwards(gelu, ("Add", "MatMul", "DequantizeLinear", "QuantizeLinear"), makers)
        after = _downwards(gelu, ("QuantizeLinear", "DequantizeLinear", "MatMul", "Add"), readers)
        if before is None or after is None:
            continue
        nodes = (*before[::-1], gelu, *after)
        # What is quantised once for this block and others as well cannot be moved into the slices.
        if all(len(readers.get(node.output[0], [])) == 1 for node in nodes[:-1]):
            found.append(FeedForward(nodes, before[-1].input[0], after[-1].output[0]))
    return found


def _upwards(
    node: onnx.NodeProto, operators: tuple[str, ...], makers: dict[str, onnx.NodeProto]
) -> list[onnx.NodeProto] | None:
    path = []
    for operator in operators:
        candidates = [makers[name] for name in node.input if name in makers]
        # A product's weight comes from a DequantizeLinear too; its activation is the first input.
        found = next((item for item in candidates if item.op_type == operator), None)
        if found is None:
            return None
        path.append(found)
        node = found
    return path


def _downwards(
    node: onnx.NodeProto, operators: tuple[str, ...], readers: dict[str, list[onnx.NodeProto]]
) -> list[onnx.NodeProto] | None:
    path = []
    for operator in operators:
        following = readers.get(node.output[0], [])
        if len(following) != 1 or following[0].op_type != operator:
            return None
        path.append(following[0])
        node = following[0]
    return path


def _readers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def _sequence_lengths(model: onnx.ModelProto) -> dict[str, int]:
    """Static second dimensions of the [B, N, C] values of a graph."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    lengths = {}
    for value in inferred.value_info:
        dimensions = value.type.tensor_type.shape.dim
        if len(dimensions) == 3:
            lengths[value.name] = dimensions[1].dim_value
    return lengths
