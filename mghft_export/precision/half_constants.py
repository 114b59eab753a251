"""Store large float constants in FP16.

They take half the space. Every runtime casts them to float32 once, when it loads the graph.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from mghft_export.graph.edits import add_constant

LARGE = 16384
"""A constant is worth a cast if it has at least this many elements."""


def store_constants_in_half(model: ir.Model) -> None:
    """Store embedding and position tables in FP16, in place. This rounds them (relative error 5e-4).

    Raises:
        ValueError: a constant is too large for FP16.
    """
    graph = model.graph
    large = [
        item
        for item in graph.initializers.values()
        if item.dtype == ir.DataType.FLOAT and item.const_value is not None and item.const_value.size >= LARGE
    ]
    for item in large:
        assert item.const_value is not None
        half = item.const_value.numpy().astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"{item.name} does not fit FP16")
        name = str(item.name)
        stored = add_constant(graph, f"{name}.half", half)
        cast = ir.node("Cast", [stored], {"to": ir.DataType.FLOAT.value}, name=f"{name}.Cast")
        item.replace_all_uses_with(cast.outputs[0])
        graph.initializers.pop(name)
        cast.outputs[0].name = name
        graph.append(cast)
