"""Arithmetic counted from a graph is what its formula says."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mghft_export.graph.flops import count_flops


@pytest.fixture
def graph_file(tmp_path):
    def write(nodes, inputs, weights):
        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()
        ]
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        tensors = [
            numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in weights.items()
        ]
        graph = helper.make_graph(nodes, "g", values, [output], tensors)
        path = tmp_path / "g.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
        return path

    return write


def test_matmul_with_dynamic_batch(graph_file):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = graph_file([node], {"x": ["batch", 5, 8]}, {"w": (8, 3)})
    assert count_flops(path, {"batch": 4}) == 4 * 5 * 8 * 3 * 2


def test_batched_product_of_activations(graph_file):
    node = helper.make_node("MatMul", ["q", "k"], ["y"])
    path = graph_file([node], {"q": ["batch", 2, 7, 64], "k": ["batch", 2, 64, 9]}, {})
    assert count_flops(path, {"batch": 3}) == 3 * 2 * 7 * 64 * 9 * 2


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(graph_file, transposed):
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=transposed)
    path = graph_file([node], {"x": ["batch", 8]}, {"w": (3, 8) if transposed else (8, 3), "b": (3,)})
    assert count_flops(path, {"batch": 2}) == 2 * 8 * 3 * 2


def test_convolution(graph_file):
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[4, 4])
    path = graph_file([node], {"x": ["batch", 3, 32, 16]}, {"w": (64, 3, 4, 4)})
    assert count_flops(path, {"batch": 1}) == (8 * 4 * 64) * (3 * 4 * 4) * 2


def test_a_repeated_product_counts_once(graph_file):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("MatMul", ["x", "w"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    path = graph_file(nodes, {"x": ["batch", 8]}, {"w": (8, 3)})
    assert count_flops(path, {"batch": 1}) == 8 * 3 * 2
