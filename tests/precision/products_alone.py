"""Each quantised product of a graph by itself, with the activations that saturate first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True)
class Product:
    """A graph of one quantised product, from float activations [rows, size] to float results."""

    name: str
    model: onnx.ModelProto
    size: int
    scale: float


def products_alone(graph: onnx.GraphProto) -> Iterator[Product]:
    """All of a graph, in its order."""
    makers = {output: node for node in graph.node for output in node.output}
    initializers = {item.name: item for item in graph.initializer}
    for node in graph.node:
        maker = makers.get(node.input[0]) if node.op_type in {"MatMul", "Gemm"} else None
        if maker is None or maker.op_type != "DequantizeLinear":
            continue
        quantise, weight = makers[maker.input[0]], makers[node.input[1]]
        transposed = any(item.name == "transB" and item.i for item in node.attribute)
        rows, columns = initializers[weight.input[0]].dims
        size, channels = (columns, rows) if transposed else (rows, columns)
        nodes = [quantise, maker, weight, node]
        known = {name: initializers[name] for item in nodes for name in item.input if name in initializers}
        source = helper.make_tensor_value_info(quantise.input[0], TensorProto.FLOAT, ["rows", size])
        result = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, ["rows", channels])
        made = helper.make_graph(nodes, "product", [source], [result], list(known.values()))
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        scale = float(numpy_helper.to_array(known[quantise.input[1]]))
        yield Product(node.name, model, int(size), scale)


def extreme_activations(product: Product) -> np.ndarray:
    """64 rows, half of them at one end of the range; all are whole multiples of the scale, so none is rounded."""
    generator = np.random.default_rng(0)
    levels = generator.integers(-128, 128, size=(64, product.size))
    levels[::2] = generator.choice([-128, 127], size=(32, 1))
    return (levels * product.scale).astype(np.float32)


def run_in_onnxruntime(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """As it runs: with the kernels for 8-bit products."""
    return _run(model, x, onnxruntime.SessionOptions())


def run_exactly(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """With optimisations off: every Q/DQ and product by itself, in float32."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _run(model, x, options)


def _run(model: onnx.ModelProto, x: np.ndarray, options: onnxruntime.SessionOptions) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})[0]
