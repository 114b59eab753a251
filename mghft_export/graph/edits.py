"""Edit a traced ONNX graph: name nodes after their modules, give each softmax one reader, narrow the gathers.

Every edit keeps the function that the graph computes.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx_ir.passes import common

SCOPES = "pkg.torch.onnx.name_scopes"
"""Key of the metadata in which torch's exporter keeps the modules that a node was traced in."""

REATTENTION = "reattention"
"""Name of the re-attention module. Its nodes must not share the attention's softmax and stay in float32."""


def edited(model: onnx.ModelProto, *edits: Callable[[ir.Model], object]) -> onnx.ModelProto:
    """A copy of a model, after some edits in this order and :func:`clean`."""
    changed = ir.from_proto(model)
    for edit in edits:
        edit(changed)
    clean(changed)
    return to_proto(changed)


def to_proto(model: ir.Model) -> onnx.ModelProto:
    """A model to be stored. It has no shapes of inner values, because readers infer them."""
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    return proto


def clean(model: ir.Model) -> None:
    """Remove unused nodes, and sort nodes so that each comes after the nodes that it reads."""
    common.RemoveUnusedNodesPass()(model)
    model.graph.sort()


def tidy(model: ir.Model) -> None:
    """Apply all edits to a traced graph, in place, in the order that they need."""
    fold_weight_transposes(model.graph)
    name_nodes(model.graph)
    separate_softmaxes(model.graph)
    narrow_gathers(model.graph)
    clean(model)
    name_values(model.graph)
    common.ClearMetadataAndDocStringPass()(model)  # removes stack traces with the exporter's paths


def fold_weight_transposes(graph: ir.Graph) -> None:
    """Transpose weights here, once, instead of in each run. The exporter does it only for small weights."""
    for node in [node for node in graph if node.op_type == "Transpose"]:
        weight = ir.convenience.get_const_tensor(input_of(node, 0))
        if weight is None:
            continue
        array = weight.numpy().transpose(node.attributes.get_ints("perm"))
        folded = add_constant(graph, f"{node.outputs[0].name}.folded", array.copy())
        node.outputs[0].replace_all_uses_with(folded)


def name_nodes(graph: ir.Graph) -> None:
    """Name nodes after their module and operator: `stage1.blocks.0.attention.query.MatMul`."""
    scope_of: dict[ir.Value, str] = {}
    taken: Counter[str] = Counter()
    for node in graph:
        scope = _scope(node)
        if scope is None:  # a node of the exporter's optimiser belongs to the module that made its input
            scope = next((scope_of[value] for value in node.inputs if value in scope_of), "")
        for output in node.outputs:
            scope_of[output] = scope
        node.name = _unique(f"{scope}.{node.op_type}".lstrip("."), taken)


def _scope(node: ir.Node) -> str | None:
    if SCOPES not in node.metadata_props:
        return None
    modules = ast.literal_eval(node.metadata_props[SCOPES])[:-1]  # the last entry is the operation itself
    return next((name for name in reversed(modules) if name and not name.startswith("_")), "")


def _unique(name: str, taken: Counter[str]) -> str:
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}_{taken[name]}"


def separate_softmaxes(graph: ir.Graph) -> None:
    """Give the re-attention its own softmaxes, recomputed from the same query and key.

    The exporter merges equal subgraphs. A softmax with a second reader would keep TensorRT from fusing its attention.
    ONNX Runtime on a CPU, where sharing is faster, merges the softmaxes again when it loads the graph.
    """
    copies: dict[ir.Value, ir.Value] = {}
    added: list[ir.Node] = []

    def copied(value: ir.Value | None, scope: str) -> ir.Value | None:
        """The same value, made by copies of the nodes from query and key to the softmax."""
        node = None if value is None else value.producer()
        if (
            value is None
            or node is None
            or node.op_type not in {"Softmax", "MatMul", "Transpose"}
            or _is_weight_product(node)
        ):
            return value
        if node.op_type == "Transpose" and REATTENTION not in str(node.name) and not _is_last_swap(node):
            return value
        if value not in copies:
            owner, _, operator = str(node.name).rpartition(".")
            copy = ir.Node(
                node.domain,
                node.op_type,
                [copied(item, scope) for item in node.inputs],
                node.attributes.values(),
                name=f"{scope}.{operator}.of.{owner}",
            )
            copy.outputs[0].name = f"{value.name}.{REATTENTION}"
            copies[value] = copy.outputs[0]
            added.append(copy)
        return copies[value]

    for node in graph:
        if REATTENTION not in str(node.name):
            continue
        scope = str(node.name).rpartition(".")[0]
        for index, value in enumerate(node.inputs):
            source = None if value is None else value.producer()
            if source is not None and source.op_type == "Softmax" and REATTENTION not in str(source.name):
                node.replace_input_with(index, copied(value, scope))
    graph.extend(added)


def _is_weight_product(node: ir.Node) -> bool:
    """Whether a node is a MatMul with a constant, as in linear layers."""
    return node.op_type == "MatMul" and any(
        value is not None and value.producer() is None for value in node.inputs
    )


def _is_last_swap(node: ir.Node) -> bool:
    """Whether a Transpose swaps the last two dimensions, as the key's does. The split into heads does not."""
    perm = list(node.attributes.get_ints("perm", ()))
    swapped = list(range(len(perm)))
    swapped[-2:] = swapped[-2:][::-1]
    return perm == swapped


def narrow_gathers(graph: ir.Graph) -> None:
    """Replace GatherElements along tokens, with an index repeated over the channels, by GatherND of whole rows.

    GatherElements would write the index once per channel: 512 x 64 indices for 512 rows.
    """
    for node in [node for node in graph if node.op_type == "GatherElements"]:
        expand = input_of(node, 1).producer()
        if expand is None or expand.op_type != "Expand":
            continue
        rows = ir.node(
            "GatherND",
            [node.inputs[0], expand.inputs[0]],  # [B, K, 1]: the row of each sticker's tokens
            {"batch_dims": 1},
            name=str(node.name).replace("GatherElements", "GatherND"),
        )
        ir.convenience.replace_nodes_and_values(graph, node, [node], [rows], node.outputs, rows.outputs)


def name_values(graph: ir.Graph) -> None:
    """Name inner values after the node that makes them, and constants after the first node that reads them."""
    taken: Counter[str] = Counter(str(value.name) for value in [*graph.inputs, *graph.outputs])
    first_reader: dict[ir.Value, tuple[str, int]] = {}
    for node in graph:
        for number, output in enumerate(node.outputs):
            if output.name and not output.is_graph_output():
                suffix = f"_output_{number}" if len(node.outputs) > 1 else "_output"
                output.name = _unique(f"{node.name}{suffix}", taken)
        for number, value in enumerate(node.inputs):
            if value is not None:
                first_reader.setdefault(value, (str(node.name), number))
    for item in list(graph.initializers.values()):
        reader, number = first_reader[item]
        is_weight = number == 1 and ".MatMul" in reader and item.shape is not None and len(item.shape) == 2
        name = f"{reader.rpartition('.')[0]}.weight" if is_weight else f"{reader}.input_{number}"
        item.name = _unique(name, taken)


def add_constant(graph: ir.Graph, name: str, array: npt.NDArray[Any]) -> ir.Value:
    """Add an initializer to a graph and return it."""
    value = ir.val(name, const_value=ir.tensor(array, name=name))
    graph.register_initializer(value)
    return value


def input_of(node: ir.Node, number: int) -> ir.Value:
    """An input of a node; the node must have it."""
    value = node.inputs[number]
    assert value is not None
    return value
