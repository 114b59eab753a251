"""What `mghft-export onnx` promises of its graphs, on a real export of a tiny model."""

from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

torch = pytest.importorskip("torch")

from goldens.model import formula_model  # noqa: E402

from mghft_export.bundle import load_bundle  # noqa: E402
from mghft_export.errors import ExportError  # noqa: E402
from mghft_export.exporting import trace  # noqa: E402
from mghft_export.fused.branch_modules import single_graph, text_branch  # noqa: E402
from mghft_export.fused.mghft import fuse  # noqa: E402
from mghft_export.graph.graph_checks import check_graph, fusable_attentions  # noqa: E402
from mghft_export.model.mghft import as_released  # noqa: E402
from mghft_export.runtime.onnx_session import OnnxSession  # noqa: E402


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def vision(bundle):
    return onnx.load(bundle.graph("vision")).graph


def random_tokens(rng, shape):
    ids = rng.integers(1000, 30000, shape)
    lengths = rng.integers(shape[-1] // 2, shape[-1] + 1, (*shape[:-1], 1))
    mask = (np.arange(shape[-1]) < lengths).astype(np.int64)
    return ids * mask, mask


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_three_branches_give_the_released_logits(bundle, tiny_model, tiny_config, batch):
    rng = np.random.default_rng(batch)
    image = rng.standard_normal((batch, 3, *tiny_config.image_size), dtype=np.float32)
    ids, mask = random_tokens(rng, (batch, 4, tiny_config.text_length))
    tokens = OnnxSession(bundle.graph("vision")).run({"image": image})
    texts = OnnxSession(bundle.graph("text")).run(
        {"input_ids": ids.reshape(batch * 4, -1), "attention_mask": mask.reshape(batch * 4, -1)}
    )
    features = texts["text_features"].reshape(batch, 4, -1)
    logits = OnnxSession(bundle.graph("fusion")).run({**tokens, "text_features": features})["logits"]
    with torch.inference_mode():
        wanted = as_released(tiny_model)(*(torch.from_numpy(x) for x in (image, ids, mask))).logits
    np.testing.assert_allclose(logits, wanted, atol=1e-4)


def test_text_branch_takes_any_length(bundle, tiny_model):
    session = OnnxSession(bundle.graph("text"))
    for length in (2, 7, 64):
        ids, mask = random_tokens(np.random.default_rng(length), (3, length))
        found = session.run({"input_ids": ids, "attention_mask": mask})["text_features"]
        with torch.inference_mode():
            wanted = fuse(tiny_model).text(torch.from_numpy(ids), torch.from_numpy(mask))
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.fixture(scope="module")
def attentions(bundle):
    return fusable_attentions(ir.load(bundle.graph("vision")).graph)


def test_every_attention_keeps_its_softmax_to_itself(vision, attentions, tiny_config):
    softmaxes = [node for node in vision.node if node.op_type == "Softmax"]
    readers = [[node for node in vision.node if softmax.output[0] in node.input] for softmax in softmaxes]
    own = [softmax.name for softmax in softmaxes if "reattention" not in softmax.name]
    assert all(len(reading) == 1 for reading in readers)
    assert len(own) == sum(tiny_config.depths) == len(attentions)
    for stage in (1, 2, 3, 4):
        assert any(f"stage{stage}.reattention" in softmax.name for softmax in softmaxes)


def test_onnxruntime_shares_the_recomputed_softmaxes_on_a_cpu(bundle, vision, attentions, tmp_path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(str(bundle.graph("vision")), options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(tmp_path / "optimised.onnx").graph
    count = {op: sum(node.op_type == op for node in optimised.node) for op in ("Softmax", "Erf")}
    # Only row 0 of the last map is recomputed, from the class token's query alone: it is no copy of anything.
    rows = sum("reattention.Softmax" in node.name and ".of." not in node.name for node in vision.node)
    assert count["Softmax"] == len(attentions) + rows
    assert count["Erf"] == 0, "GELU must be one operator"


def test_nodes_are_named_after_stage_and_block(vision):
    names = [node.name for node in vision.node]
    assert len(set(names)) == len(names)
    assert "stage1.blocks.0.attention.query.MatMul" in names
    assert "stage3.blocks.1.mlp.fc2.MatMul" in names
    located = [name for name in names if name.startswith("stage")]
    assert len(located) >= len(names) - 2, sorted(set(names) - set(located))


def test_selected_rows_are_gathered_whole(vision):
    operators = {node.op_type for node in vision.node}
    assert "GatherND" in operators
    assert "GatherElements" not in operators


def test_graphs_carry_no_paths_of_whoever_exported(bundle):
    for branch in ("vision", "text", "fusion"):
        model = onnx.load(bundle.graph(branch))
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
        assert b"site-packages" not in bundle.graph(branch).read_bytes()


def test_manifest_describes_the_graphs(bundle, tiny_config):
    graphs = bundle.manifest.precisions["fp32"]
    vision, fusion = graphs["vision"], graphs["fusion"]
    assert vision.inputs[0].shape == ("batch", 3, 96, 96)
    assert [item.name for item in fusion.inputs] == [*(item.name for item in vision.outputs), "text_features"]
    assert fusion.outputs[0].shape == ("batch", tiny_config.num_classes)
    assert graphs["text"].inputs[0].shape == ("batch", "length")
    assert {graph.opset for graph in graphs.values()} == {18}


def test_single_graph_at_another_size_and_opset(tiny_config, tmp_path):
    config = replace(
        tiny_config, image_size=(64, 128), locals=(1, 0, 1, 0), views="separate", pooling="masked"
    )
    model = formula_model(config)
    trace.export_branch(single_graph(fuse(model)), tmp_path / "mghft.onnx", opset=20)
    rng = np.random.default_rng(0)
    image = rng.standard_normal((3, 3, 64, 128), dtype=np.float32)
    ids, mask = random_tokens(rng, (3, 4, 20))
    feeds = {"image": image, "input_ids": ids, "attention_mask": mask}
    logits = OnnxSession(tmp_path / "mghft.onnx").run(feeds)["logits"]
    with torch.inference_mode():
        wanted = as_released(model)(*(torch.from_numpy(feed) for feed in feeds.values())).logits
    np.testing.assert_allclose(logits, wanted, atol=1e-4)


def test_another_encoder_of_transformers_keeps_its_attentions_fusable(tiny_config, tmp_path):
    fields = {**tiny_config.text_encoder, "model_type": "electra", "embedding_size": 32}
    fused = fuse(formula_model(replace(tiny_config, text_encoder=fields)))
    trace.export_branch(text_branch(fused), tmp_path / "text.onnx")
    assert len(fusable_attentions(ir.load(tmp_path / "text.onnx").graph)) == 4
    ids, mask = random_tokens(np.random.default_rng(0), (3, 20))
    found = OnnxSession(tmp_path / "text.onnx").run({"input_ids": ids, "attention_mask": mask})[
        "text_features"
    ]
    with torch.inference_mode():
        wanted = fused.text(torch.from_numpy(ids), torch.from_numpy(mask))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_checks_refuse_a_shared_softmax(bundle, tmp_path, tiny_config):
    model = onnx.load(bundle.graph("vision"))
    softmax = next(
        node for node in model.graph.node if node.op_type == "Softmax" and "reatt" not in node.name
    )
    model.graph.node.append(onnx.helper.make_node("Identity", [softmax.output[0]], ["second"], name="second"))
    onnx.save(model, tmp_path / "shared.onnx")
    with pytest.raises(ExportError, match="fusable attentions"):
        check_graph(tmp_path / "shared.onnx", attentions=sum(tiny_config.depths))


def test_checks_refuse_a_fixed_batch(bundle, tmp_path):
    model = onnx.load(bundle.graph("fusion"))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(model, tmp_path / "fixed.onnx")
    with pytest.raises(ExportError, match="batch dimension"):
        check_graph(tmp_path / "fixed.onnx", attentions=3)


def test_checks_refuse_what_is_not_onnx(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")
    with pytest.raises(ExportError, match="not valid ONNX"):
        check_graph(tmp_path / "broken.onnx", attentions=0)
