"""Conversions on small graphs and on the tiny model: what they compute, what stays float, what fuses."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from mghft_export.bundle import BRANCHES, load_bundle
from mghft_export.errors import MGHFTError
from mghft_export.graph.edits import REATTENTION, edited
from mghft_export.graph.graph_checks import fusable_attentions
from mghft_export.precision.cpu_form import approximate_gelu, slice_feed_forwards
from mghft_export.precision.fp16 import to_fp16, too_large
from mghft_export.precision.int8 import to_int8
from mghft_export.precision.matrix_products import weight_products
from mghft_export.precision.qdq import LEVELS, insert_qdq, quantise_weight, scale_of
from mghft_export.precision.smooth import smooth, smoothable_norms

RNG = np.random.default_rng(0)


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def feed_forward(tokens: int = 40) -> onnx.ModelProto:
    """LayerNorm, product, bias, exact GELU as the exporter writes it, product, bias: [B, tokens, 8]."""
    arrays = {
        "gamma": RNG.uniform(0.5, 2, 8),
        "beta": RNG.normal(size=8),
        "w1": RNG.normal(size=(8, 32)),
        "b1": RNG.normal(size=32),
        "root": np.array(2**0.5),
        "one": np.array(1.0),
        "half": np.array(0.5),
        "w2": RNG.normal(size=(32, 8)),
        "b2": RNG.normal(size=8),
    }
    steps = [
        ("LayerNormalization", ["x", "gamma", "beta"], "n"),
        ("MatMul", ["n", "w1"], "h"),
        ("Add", ["h", "b1"], "g"),
        ("Div", ["g", "root"], "d"),
        ("Erf", ["d"], "e"),
        ("Add", ["e", "one"], "f"),
        ("Mul", ["g", "f"], "m"),
        ("Mul", ["m", "half"], "a"),
        ("MatMul", ["a", "w2"], "p"),
        ("Add", ["p", "b2"], "y"),
    ]
    nodes = [helper.make_node(op, inputs, [out], f"{out}.{op}") for op, inputs, out in steps]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", tokens, 8]) for name in "xy"]
    initializers = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "block", value[:1], value[1:], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize("sums_in_16_bits", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_weights_are_symmetric_per_output_channel(axis, sums_in_16_bits):
    weight = RNG.normal(size=(6, 5)).astype(np.float32) * 10.0 ** np.arange(5)
    quantised, scale = quantise_weight(weight, axis, sums_in_16_bits=sums_in_16_bits)
    assert scale.shape == (weight.shape[axis],)
    error = np.abs(quantised * np.expand_dims(scale, 1 - axis) - weight) / np.expand_dims(scale, 1 - axis)
    # A pair that was rounded up to more than 16 bits hold gives one step back.
    assert (error <= (1.01 if sums_in_16_bits else 0.51)).all()
    assert np.median(error) < 0.5
    assert np.abs(quantised).max() <= LEVELS
    if not sums_in_16_bits:
        assert (np.abs(quantised).max(axis=1 - axis) == LEVELS).all()


def test_scales_are_exact_in_fp16_and_never_denormal():
    scale = scale_of(np.array([0, 1e-9, 0.3, 500], np.float32))
    assert (scale.astype(np.float16).astype(np.float32) == scale).all()
    assert scale.min() == 2.0**-14


def test_an_activation_that_two_products_read_is_quantised_once():
    model = feed_forward()
    copy = helper.make_node("MatMul", ["n", "w1"], ["z"], "second.MatMul")
    model.graph.node.append(copy)
    model.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ["b", 40, 32]))
    products = weight_products(model.graph)
    model = edited(model, lambda graph: insert_qdq(graph, products, {"n": 4.0, "a": 9.0}))
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("QuantizeLinear") == 2
    assert operators.count("DequantizeLinear") == 4


def test_int8_computes_what_rounding_by_hand_gives():
    model, x = feed_forward(), RNG.normal(size=(2, 40, 8)).astype(np.float32)
    ranges = {"n": 6.0, "a": 12.0}
    found = run(to_int8(model, ranges, form="plain"), {"x": x})[0]
    values = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}

    def rounded(array, largest):
        scale = scale_of(np.float32(largest))
        return np.clip(np.rint(array / scale), -128, 127) * scale

    def weight(name):
        quantised, scale = quantise_weight(values[name], 1)
        return quantised * scale

    stages = onnx.ModelProto()
    stages.CopyFrom(model)
    stages.graph.output.append(helper.make_tensor_value_info("n", TensorProto.FLOAT, None))
    n = run(stages, {"x": x})[1]
    g = rounded(n, 6.0) @ weight("w1") + values["b1"]
    a = 0.5 * g * (1 + np.vectorize(__import__("math").erf)(g / 2**0.5))
    expected = rounded(a, 12.0) @ weight("w2") + values["b2"]
    # A value in the middle between two levels may fall to either side.
    assert np.quantile(np.abs(found - expected), 0.95) < 1e-3
    assert np.abs(found - expected).max() < 0.3


def test_layers_can_stay_float_and_unknown_ones_are_refused():
    model = feed_forward()
    kept = to_int8(model, {"a": 9.0}, form="plain", float_layers=["h.MatMul"])
    assert [node.op_type for node in kept.graph.node].count("QuantizeLinear") == 1
    with pytest.raises(MGHFTError, match=r"no layer 'other'"):
        to_int8(model, {"n": 1.0, "a": 1.0}, float_layers=["other"])
    with pytest.raises(MGHFTError, match="no range for 'n'"):
        to_int8(model, {"a": 1.0})


def test_gelu_becomes_one_operator_within_its_error():
    model, x = feed_forward(), RNG.normal(size=(2, 40, 8)).astype(np.float32)
    expected = run(model, {"x": x})[0]
    counts = []
    model = edited(model, lambda graph: counts.append(approximate_gelu(graph)))
    assert counts == [1]
    operators = [node.op_type for node in model.graph.node]
    assert operators == ["LayerNormalization", "MatMul", "Add", "Gelu", "MatMul", "Add"]
    found = run(model, {"x": x})[0]
    assert 0 < np.abs(found - expected).max() < 32 * 3 * 5e-4


@pytest.mark.parametrize(("tokens", "count"), [(16, 1), (40, 0), (39, 1)])
def test_slices_change_nothing(tokens, count):
    x = RNG.normal(size=(3, 40, 8)).astype(np.float32)
    model = to_int8(feed_forward(), {"n": 6.0, "a": 12.0}, form="plain")
    model, counts = edited(model, approximate_gelu), []
    expected = run(model, {"x": x})[0]
    model = edited(model, lambda graph: counts.append(slice_feed_forwards(graph, tokens)))
    assert counts == [count]
    assert ("Concat" in [node.op_type for node in model.graph.node]) == bool(count)
    np.testing.assert_allclose(run(model, {"x": x})[0], expected, atol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_scale_migration_keeps_the_function_and_levels_outliers(alpha):
    model, x = feed_forward(), RNG.normal(size=(2, 40, 8)).astype(np.float32)
    gamma = next(item for item in model.graph.initializer if item.name == "gamma")
    gamma.CopyFrom(numpy_helper.from_array(np.array([50, 1, 1, 1, 1, 1, 1, 0], np.float32), "gamma"))
    expected = run(model, {"x": x})[0]
    norms = smoothable_norms(model.graph, weight_products(model.graph))
    assert [norm.output for norm in norms] == ["n"]
    model.graph.output.append(helper.make_tensor_value_info("n", TensorProto.FLOAT, None))
    before = np.abs(run(model, {"x": x})[1]).max(axis=(0, 1))
    smooth(model, norms, {"n": before}, alpha)
    found, after = run(model, {"x": x})
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-3)
    after = np.abs(after).max(axis=(0, 1))[before > 0]
    if alpha == 1:
        np.testing.assert_allclose(after, 1, rtol=1e-4)


@pytest.mark.parametrize("branch", BRANCHES)
def test_scale_migration_keeps_the_function_of_every_branch(tiny_bundle, branch):
    model = onnx.load(load_bundle(tiny_bundle).graph(branch))
    feeds = {
        item.name: RNG.normal(size=[2 if isinstance(side, str) else side for side in item.shape]).astype("f4")
        if item.dtype == "float32"
        else np.ones((2, 2), np.int64)
        for item in load_bundle(tiny_bundle).manifest.precisions["fp32"][branch].inputs
    }
    expected = run(model, feeds)
    norms = smoothable_norms(model.graph, weight_products(model.graph))
    assert norms or branch == "text"  # BERT's norms are read by residual additions
    widths = {item.name: item.dims[0] for item in model.graph.initializer if len(item.dims) == 1}
    maxima = {item.output: RNG.uniform(0.1, 10, widths[item.scale]).astype("f4") for item in norms}
    smooth(model, norms, maxima, 0.5)
    for found, before in zip(run(model, feeds), expected, strict=True):
        # Selected tokens whose scores tie within rounding may take each other's place.
        assert np.isclose(found, before, rtol=1e-3, atol=1e-4).mean() > 0.97


def names_of_attentions(model):
    return [softmax.name for softmax in fusable_attentions(ir.from_proto(model).graph)]


@pytest.mark.parametrize("branch", BRANCHES)
def test_fp16_keeps_the_reattention_in_float32_and_every_attention_fusable(tiny_bundle, branch):
    model = onnx.load(load_bundle(tiny_bundle).graph(branch))
    half = to_fp16(model)
    onnx.checker.check_model(half, full_check=True)
    assert names_of_attentions(half) == names_of_attentions(model)
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(half, strict_mode=True).graph.value_info
    }
    softmaxes = [node for node in half.graph.node if node.op_type == "Softmax"]
    for node in softmaxes:
        wanted = TensorProto.FLOAT if REATTENTION in node.name else TensorProto.FLOAT16
        assert types[node.output[0]] == wanted, node.name
    norms = [node for node in model.graph.node if node.op_type == "LayerNormalization"]
    assert len(norms) == [node.op_type for node in half.graph.node].count("LayerNormalization")
    assert all(item.type.tensor_type.elem_type != TensorProto.FLOAT16 for item in half.graph.input)
    inner = to_fp16(model, half_io=True)
    assert all(item.type.tensor_type.elem_type != TensorProto.FLOAT for item in inner.graph.output)


def test_reattention_is_never_a_weight_product(tiny_bundle):
    products = weight_products(onnx.load(load_bundle(tiny_bundle).graph("vision")).graph)
    assert products
    assert not [item for item in products if REATTENTION in item.name]


def test_large_values_come_largest_first():
    assert list(too_large({"a": 2e4, "b": 1.0, "c": 6e4})) == ["c", "a"]
