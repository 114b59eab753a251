"""Every attention of the FP16 and INT8 graphs becomes one kernel, and where one does not, its block is named."""

from __future__ import annotations

import onnx
import pytest

from mghft_export.bundle import BRANCHES
from mghft_export.engines.attentions import attentions_to_fuse, block_name, count_fused
from mghft_export.engines.build import build_branch
from mghft_export.engines.engine_layers import Layer
from mghft_export.engines.min_opt_max import MinOptMax
from mghft_export.engines.profiles import ProfileChoice


def expected_counts(config):
    return {
        "vision": sum(config.depths),
        "text": config.text_encoder["num_hidden_layers"],
        "fusion": 3,
    }


@pytest.mark.parametrize(
    ("precision", "targets"),
    [
        ("fp16", (80,)),
        ("fp16", (86,)),
        ("fp16", (89,)),
        ("fp16", (120,)),
        ("int8-fp16", (80, 86, 89, 120)),
    ],
)
def test_every_attention_is_fused(full_bundle, plan, tiny_config, precision, targets):
    built = plan(full_bundle, precision=precision, targets=targets)
    for item in built.branches:
        count = count_fused(item.attentions, build_branch(built, item).layers, profiles=1)
        assert count.missing == (), item.branch
        assert count.fused == expected_counts(tiny_config)[item.branch], item.branch


def test_a_batch_that_is_always_one_loses_attentions_and_one_or_two_loses_none(full_bundle, plan):
    def missing(*batches):
        built = plan(
            full_bundle, "fusion", profiles=tuple(ProfileChoice(MinOptMax(*batch)) for batch in batches)
        )
        (item,) = built.branches
        return count_fused(item.attentions, build_branch(built, item).layers, len(batches)).missing

    assert missing((1, 1, 2)) == ()
    alone = missing((1, 1, 1))
    assert alone
    assert missing((1, 1, 1), (1, 8, 32)) == alone, "an attention must be fused in every profile"


def test_only_half_precision_attentions_are_expected(full_bundle, tiny_config):
    for branch in BRANCHES:
        assert attentions_to_fuse(full_bundle.graph(branch, "fp32")) == ()
        for precision in ("fp16", "int8-fp16"):
            found = attentions_to_fuse(full_bundle.graph(branch, precision))
            assert len(found) == expected_counts(tiny_config)[branch]


def attention_graph(path, head):
    """Query, softmax and value product in FP16 with heads of so many channels."""
    half = onnx.TensorProto.FLOAT16
    shapes = {"q": ["batch", 8, head], "k": ["batch", head, 8], "v": ["batch", 8, head]}
    nodes = [
        onnx.helper.make_node("MatMul", ["q", "k"], ["s"], "block.MatMul"),
        onnx.helper.make_node("Softmax", ["s"], ["p"], "block.Softmax", axis=-1),
        onnx.helper.make_node("MatMul", ["p", "v"], ["o"], "block.MatMul_2"),
    ]
    inputs = [onnx.helper.make_tensor_value_info(name, half, shape) for name, shape in shapes.items()]
    outputs = [onnx.helper.make_tensor_value_info("o", half, ["batch", 8, head])]
    graph = onnx.helper.make_graph(nodes, "attention", inputs, outputs)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]), path)
    return path


def test_heads_too_wide_for_a_fused_kernel_are_not_expected(tmp_path):
    assert attentions_to_fuse(attention_graph(tmp_path / "narrow.onnx", 256)) == ("block.Softmax",)
    assert attentions_to_fuse(attention_graph(tmp_path / "wide.onnx", 512)) == ()


def test_a_missing_attention_is_named_by_its_block():
    def kernel(name, *nodes):
        return Layer(name=name, kind="kgen", inputs=("Half",), outputs=("Half",), tactic="", nodes=nodes)

    expected = ("stage1.blocks.0.attention.Softmax", "stage1.blocks.1.attention.Softmax")
    layers = [
        kernel("_gemm_mha_v2_myl0_17", "stage1.blocks.0.attention.MatMul", expected[0]),
        kernel("__myl_MaxrSubExpSumDiv_myl0_74", expected[1]),
    ]
    count = count_fused(expected, layers, profiles=1)
    assert count.fused == 1
    assert [block_name(name) for name in count.missing] == ["stage1.blocks.1.attention"]
