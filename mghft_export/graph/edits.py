"""Edits on a traced ONNX graph: names that say where a node belongs, one reader per softmax, narrow gathers.

Every edit keeps the function that the graph computes.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict

import onnx
from onnx import helper, numpy_helper

SCOPES = "pkg.torch.onnx.name_scopes"
"""Metadata in which torch's exporter keeps the modules a node was traced in."""

REATTENTION = "reattention"
"""The module whose nodes must not share the attention's softmax, and stay in float32 in every precision."""


def tidy(model: onnx.ModelProto) -> None:
    """All edits, in place, in the order that they need."""
    fold_weight_transposes(model.graph)
    name_nodes(model.graph)
    separate_softmaxes(model.graph)
    narrow_gathers(model.graph)
    sort_topologically(model.graph)
    name_values(model.graph)
    for item in [*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info]:
        del item.metadata_props[:]  # stack traces with the paths of whoever exported
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]  # shapes of values under their old names; every reader infers them anew


def fold_weight_transposes(graph: onnx.GraphProto) -> None:
    """Transpose weights once, here (the exporter folds only the small ones)."""
    weights = {item.name: item for item in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Transpose" and node.input[0] in weights]:
        perm = next((list(item.ints) for item in node.attribute if item.name == "perm"), None)
        array = numpy_helper.to_array(weights[node.input[0]]).transpose(perm)
        graph.initializer.append(numpy_helper.from_array(array.copy(), node.output[0]))
        graph.node.remove(node)
    drop_unread(graph)


def name_nodes(graph: onnx.GraphProto) -> None:
    """Name nodes after their module and operator: `stage1.blocks.0.attention.query.MatMul`."""
    scope_of: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for node in graph.node:
        scope = _scope(node)
        if scope is None:  # made by the exporter's optimiser: it belongs where its input was made
            scope = next((scope_of[name] for name in node.input if name in scope_of), "")
        for output in node.output:
            scope_of[output] = scope
        node.name = _unique(f"{scope}.{node.op_type}".lstrip("."), taken)


def _scope(node: onnx.NodeProto) -> str | None:
    for item in node.metadata_props:
        if item.key == SCOPES:
            modules = ast.literal_eval(item.value)[:-1]  # the last entry is the operation itself
            return next((name for name in reversed(modules) if name and not name.startswith("_")), "")
    return None


def _unique(name: str, taken: Counter[str]) -> str:
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}_{taken[name]}"


def separate_softmaxes(graph: onnx.GraphProto) -> None:
    """Give the re-attention softmaxes of its own, recomputed from the same query and key.

    The exporter merges equal subgraphs, and a softmax with a second reader keeps TensorRT from fusing its attention.
    A runtime that gains from sharing (ONNX Runtime on a CPU) merges them again when it loads the graph.
    """
    producer = {output: node for node in graph.node for output in node.output}
    copies: dict[str, str] = {}
    added: list[onnx.NodeProto] = []

    def copied(value: str, scope: str) -> str:
        """The value recomputed by copies of the nodes between query, key and softmax."""
        node = producer.get(value)
        if (
            node is None
            or node.op_type not in {"Softmax", "MatMul", "Transpose"}
            or _is_weight_product(node, producer)
        ):
            return value
        if node.op_type == "Transpose" and REATTENTION not in node.name and not _is_last_swap(node):
            return value
        if value not in copies:
            copies[value] = f"{value}.{REATTENTION}"
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{scope}.{node.name.rsplit('.', 1)[-1]}.of.{node.name.rsplit('.', 1)[0]}"
            copy.input[:] = [copied(name, scope) for name in node.input]
            copy.output[:] = [copies[value]]
            added.append(copy)
        return copies[value]

    for node in graph.node:
        if REATTENTION not in node.name:
            continue
        scope = node.name.rsplit(".", 1)[0]
        for index, name in enumerate(node.input):
            source = producer.get(name)
            if source is not None and source.op_type == "Softmax" and REATTENTION not in source.name:
                node.input[index] = copied(name, scope)
    graph.node.extend(added)


def _is_weight_product(node: onnx.NodeProto, producer: dict[str, onnx.NodeProto]) -> bool:
    """Whether a MatMul multiplies with a constant, as linear layers do."""
    return node.op_type == "MatMul" and any(name not in producer for name in node.input)


def _is_last_swap(node: onnx.NodeProto) -> bool:
    """Whether a Transpose swaps the last two dimensions: the key's, as opposed to the split into heads."""
    perm = next((list(item.ints) for item in node.attribute if item.name == "perm"), [])
    swapped = list(range(len(perm)))
    swapped[-2:] = swapped[-2:][::-1]
    return perm == swapped


def narrow_gathers(graph: onnx.GraphProto) -> None:
    """GatherElements along tokens with an index repeated over the channels -> GatherND of whole rows.

    GatherElements would write the index once per channel: 512 x 64 indices for 512 rows.
    """
    producer = {output: node for node in graph.node for output in node.output}
    dropped: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "GatherElements":
            continue
        expand = producer.get(node.input[1])
        if expand is None or expand.op_type != "Expand":
            continue
        node.op_type = "GatherND"
        node.name = node.name.replace("GatherElements", "GatherND")
        node.input[1] = expand.input[0]  # [B, K, 1]: the row of each sticker's tokens
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("batch_dims", 1))
        dropped.append(expand)
    for node in dropped:
        graph.node.remove(node)
    drop_unread(graph)


def drop_unread(graph: onnx.GraphProto) -> None:
    """Remove nodes and initializers that nothing reads."""
    outputs = {value.name for value in graph.output}
    while True:
        read = {name for node in graph.node for name in node.input} | outputs
        unread = [node for node in graph.node if not read.intersection(node.output)]
        if not unread:
            break
        for node in unread:
            graph.node.remove(node)
    for item in [item for item in graph.initializer if item.name not in read]:
        graph.initializer.remove(item)


def sort_topologically(graph: onnx.GraphProto) -> None:
    """Order the nodes so that each comes after what it reads, otherwise as they were."""
    available = {value.name for value in graph.input} | {item.name for item in graph.initializer} | {""}
    waiting = list(graph.node)
    ordered: list[onnx.NodeProto] = []
    while waiting:
        ready = []
        for node in waiting:
            if available.issuperset(node.input):
                ready.append(node)
                available.update(node.output)
        if not ready:
            raise ValueError("the graph has a cycle or reads a value that nothing makes")
        done = {id(node) for node in ready}
        waiting = [node for node in waiting if id(node) not in done]
        ordered.extend(ready)
    copies = [helper.make_node("Identity", [""], [""]) for _ in ordered]
    for copy, node in zip(copies, ordered, strict=True):
        copy.CopyFrom(node)
    del graph.node[:]
    graph.node.extend(copies)


def name_values(graph: onnx.GraphProto) -> None:
    """Name inner values after the node that makes them, and constants after the first node that reads them."""
    renamed = {value.name: value.name for value in [*graph.input, *graph.output]}
    taken: Counter[str] = Counter(renamed.values())
    for node in graph.node:
        for number, output in enumerate(node.output):
            if output and output not in renamed:
                suffix = f"_output_{number}" if len(node.output) > 1 else "_output"
                renamed[output] = _unique(node.name + suffix, taken)
    readers: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for node in graph.node:
        for number, name in enumerate(node.input):
            readers[name].append((node.name, number))
    for item in graph.initializer:
        reader, number = readers[item.name][0]
        role = "weight" if number == 1 and ".MatMul" in reader and _is_matrix(item) else f"input_{number}"
        renamed[item.name] = _unique(
            f"{reader.rsplit('.', 1)[0]}.{role}" if role == "weight" else f"{reader}.{role}", taken
        )
        item.name = renamed[item.name]
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]


def _is_matrix(item: onnx.TensorProto) -> bool:
    return len(item.dims) == 2
