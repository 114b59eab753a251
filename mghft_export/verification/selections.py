"""A vision graph that also tells which patches it selects, for the verification alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx

from mghft_export.errors import BundleError
from mghft_export.graph.edits import REATTENTION


def with_selections(path: Path) -> tuple[bytes, Mapping[str, str]]:
    """A copy of a vision graph with the indices of its selections as further outputs.

    Returns:
        The serialised model, and the name of the indices [B, heads, k] by stage (`stage1`, ...).

    Raises:
        BundleError: the graph selects nothing.
    """
    model = onnx.load(path)
    names = {
        node.name.split(".")[0]: node.output[1]
        for node in model.graph.node
        if node.op_type == "TopK" and f".{REATTENTION}." in node.name
    }
    if not names:
        raise BundleError(f"{path} has no re-attention that selects tokens; export the bundle again")
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None) for name in names.values()
    )
    return model.SerializeToString(), names
