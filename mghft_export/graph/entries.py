"""Describe ONNX files for the manifest of a bundle."""

from __future__ import annotations

from pathlib import Path

import onnx

from mghft_export.bundle import GraphEntry, TensorEntry, file_entry


def graph_entry(root: Path, path: Path) -> GraphEntry:
    """Describe an ONNX file of a bundle."""
    model = onnx.load(path, load_external_data=False)
    return GraphEntry(
        file=file_entry(root, path),
        opset=next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx")),
        nodes=len(model.graph.node),
        inputs=tuple(_tensor_entry(value) for value in model.graph.input),
        outputs=tuple(_tensor_entry(value) for value in model.graph.output),
    )


def _tensor_entry(value: onnx.ValueInfoProto) -> TensorEntry:
    tensor = value.type.tensor_type
    shape = tuple(size.dim_param or size.dim_value for size in tensor.shape.dim)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    return TensorEntry(name=value.name, shape=shape, dtype=dtype)
