"""Large weights leave an ONNX file and are read where they are, whatever the file is called."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest

from mghft_export.bundle import load_bundle
from mghft_export.runtime.onnx_session import OnnxSession
from mghft_export.runtime.onnx_weights import LARGE_WEIGHT, without_weights


@pytest.fixture
def content(tiny_bundle):
    return load_bundle(tiny_bundle).graph("text").read_bytes()


def test_large_weights_are_said_to_be_where_they_are(content):
    structure = without_weights(memoryview(content), "text.onnx")
    whole, found = onnx.load_model_from_string(content), onnx.load_model_from_string(structure)
    outside = 0
    for before, after in zip(whole.graph.initializer, found.graph.initializer, strict=True):
        assert (before.name, before.dims, before.data_type) == (after.name, after.dims, after.data_type)
        if len(before.raw_data) < LARGE_WEIGHT:
            assert before == after
            continue
        outside += 1
        place = {entry.key: entry.value for entry in after.external_data}
        assert not after.raw_data
        assert place["location"] == "text.onnx"
        start = int(place["offset"])
        assert content[start : start + int(place["length"])] == before.raw_data
    assert outside > 0
    assert whole.graph.node == found.graph.node
    assert len(structure) < len(content) - outside * LARGE_WEIGHT + 10_000


def test_a_model_without_large_weights_stays_as_it_is():
    model = onnx.helper.make_model(onnx.helper.make_graph([], "small", [], []))
    assert without_weights(memoryview(model.SerializeToString()), "x") == model.SerializeToString()


@pytest.mark.parametrize("size", [-1, 1000, 7, 1])
def test_what_is_cut_short_is_no_model(content, size):
    with pytest.raises(ValueError, match=r"field|number"):
        without_weights(memoryview(content)[:size], "text.onnx")


def feeds():
    ids = np.arange(101, 113, dtype=np.int64)[None]
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def test_a_session_of_a_file_computes_what_one_of_its_content_does(tiny_bundle, content):
    path = load_bundle(tiny_bundle).graph("text")
    for name, expected in OnnxSession(content).run(feeds()).items():
        np.testing.assert_array_equal(OnnxSession(path).run(feeds())[name], expected)


def test_a_file_behind_a_link_is_read(tiny_bundle, content, tmp_path):
    shutil.copy(load_bundle(tiny_bundle).graph("text"), tmp_path / "a graph.bin")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "text.onnx").symlink_to(tmp_path / "a graph.bin")
    found = OnnxSession(tmp_path / "folder" / "text.onnx").run(feeds())["text_features"]
    np.testing.assert_array_equal(found, OnnxSession(content).run(feeds())["text_features"])
