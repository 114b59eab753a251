"""Large float constants stored in FP16: half the file, and a cast that every runtime does once, when it loads."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mghft_export.graph.edits import sort_topologically

LARGE = 16384
"""Elements from which a constant is worth a cast."""


def store_constants_in_half(graph: onnx.GraphProto) -> None:
    """Embedding and position tables, in place; they are rounded to FP16 by that (relative error 5e-4).

    Raises:
        ValueError: a constant is too large for FP16.
    """
    large = [
        item
        for item in graph.initializer
        if item.data_type == TensorProto.FLOAT and np.prod(item.dims) >= LARGE
    ]
    for item in large:
        half = numpy_helper.to_array(item).astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"{item.name} does not fit FP16")
        name = item.name
        item.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        graph.node.append(helper.make_node("Cast", [item.name], [name], f"{name}.Cast", to=TensorProto.FLOAT))
    sort_topologically(graph)
