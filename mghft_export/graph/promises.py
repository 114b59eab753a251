"""What every exported graph must be, checked on the file that ships."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from mghft_export.errors import ExportError
from mghft_export.graph.edits import REATTENTION

CONTROL_FLOW = {"Loop", "If", "Scan"}


def check_graph(path: Path, *, attentions: int) -> None:
    """Check a file with the ONNX checker and full shape inference, and for what this project promises.

    Args:
        path: the ONNX file.
        attentions: attention products (query, key, softmax, value) that the graph must have, fusable.

    Raises:
        ExportError: names the first promise that does not hold, and where.
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
    """The softmaxes between two products that the value product alone reads: what TensorRT fuses."""
    found = []
    for node in graph:
        if node.op_type != "Softmax" or REATTENTION in str(node.name):
            continue
        readers = [reader.op_type for reader, _ in node.outputs[0].uses()]
        if score_product(node) is not None and readers == ["MatMul"]:
            found.append(node)
    return found


def score_product(softmax: ir.Node) -> ir.Node | None:
    """The product of query and key whose scores, scaled and masked, a softmax reads; None where there is none."""
    node = _maker(softmax)
    while node is not None and node.op_type in {"Mul", "Add"}:  # a scale and an additive mask in between
        node = _maker(node)
    return node if node is not None and node.op_type == "MatMul" else None


def _maker(node: ir.Node) -> ir.Node | None:
    """Who makes the first input that is computed."""
    makers = (value.producer() for value in node.inputs if value is not None)
    return next((maker for maker in makers if maker is not None), None)
