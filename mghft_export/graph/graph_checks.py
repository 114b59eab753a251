"""Check that an exported file keeps what this project promises of every graph."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from mghft_export.errors import ExportError
from mghft_export.graph.edits import REATTENTION

CONTROL_FLOW = {"Loop", "If", "Scan"}


def check_graph(path: Path, *, attentions: int) -> None:
    """Check a file with the ONNX checker and full shape inference, then check the promises of this project.

    The graph has no control flow, its batch dimension is dynamic, and TensorRT can fuse its attentions.

    Args:
        path: the ONNX file.
        attentions: how many fusable attentions (query, key, softmax, value) the graph must have.

    Raises:
        ExportError: a check failed. The message names the first that did.
    """
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{path.name} is not valid ONNX: {str(error).splitlines()[0]}") from error
    graph = ir.load(path).graph
    for node in graph:
        if node.op_type in CONTROL_FLOW:
            raise ExportError(
                f"{path.name}: {node.name} is a {node.op_type}; branches must be straight-line graphs"
            )
    for value in [*graph.inputs, *graph.outputs]:
        if value.shape is None or not value.shape.is_dynamic(0):
            raise ExportError(f"{path.name}: the batch dimension of {value.name} became fixed while tracing")
    found = len(fusable_attentions(graph))
    if found != attentions:
        raise ExportError(f"{path.name}: {found} fusable attentions instead of {attentions}")


def fusable_attentions(graph: ir.Graph) -> list[ir.Node]:
    """The softmaxes that TensorRT can fuse: a product makes the scores, and only the product with value reads them."""
    found = []
    for node in graph:
        if node.op_type != "Softmax" or REATTENTION in str(node.name):
            continue
        readers = [reader.op_type for reader, _ in node.outputs[0].uses()]
        if score_product(node) is not None and readers == ["MatMul"]:
            found.append(node)
    return found


def score_product(softmax: ir.Node) -> ir.Node | None:
    """The product of query and key that makes the scores of a softmax; None if there is none."""
    node = _maker(softmax)
    while node is not None and node.op_type in {"Mul", "Add"}:  # a scale and an additive mask come in between
        node = _maker(node)
    return node if node is not None and node.op_type == "MatMul" else None


def _maker(node: ir.Node) -> ir.Node | None:
    """The node that makes the first input that is not a constant or an input of the graph."""
    makers = (value.producer() for value in node.inputs if value is not None)
    return next((maker for maker in makers if maker is not None), None)
