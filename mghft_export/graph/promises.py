"""What every exported graph must be, checked on the file that ships."""

from __future__ import annotations

from pathlib import Path

import onnx

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
    graph = onnx.load(path, load_external_data=False).graph
    for node in graph.node:
        if node.op_type in CONTROL_FLOW:
            raise ExportError(
                f"{path.name}: {node.name} is a {node.op_type}; branches must be straight-line graphs"
            )
    for value in [*graph.input, *graph.output]:
        if not value.type.tensor_type.shape.dim[0].dim_param:
            raise ExportError(f"{path.name}: the batch dimension of {value.name} became fixed while tracing")
    found = len(fusable_attentions(graph))
    if found != attentions:
        raise ExportError(f"{path.name}: {found} fusable attentions instead of {attentions}")


def fusable_attentions(graph: onnx.GraphProto) -> list[str]:
    """Names of the softmaxes between two products that the value product alone reads: what TensorRT fuses."""
    producer = {output: node for node in graph.node for output in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    names = []
    for node in graph.node:
        if node.op_type != "Softmax" or REATTENTION in node.name:
            continue
        scores = producer.get(node.input[0])
        while scores is not None and scores.op_type in {
            "Mul",
            "Add",
        }:  # a scale and an additive mask in between
            scores = next((producer[name] for name in scores.input if name in producer), None)
        reading = readers.get(node.output[0], [])
        products = (
            scores is not None
            and scores.op_type == "MatMul"
            and [item.op_type for item in reading] == ["MatMul"]
        )
        if products:
            names.append(node.name)
    return names
