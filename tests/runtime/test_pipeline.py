"""The pipeline over real networks: splitting, caching, intermediates on the device, and three implementations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from goldens.model import formula_model

from mghft_export.bundle import BRANCHES, load_bundle
from mghft_export.errors import EngineError, MGHFTError
from mghft_export.evaluation.verification.released import synthetic_stickers
from mghft_export.exporting.export_bundle import ExportOptions, Source, export_bundle
from mghft_export.fused.mghft import fuse
from mghft_export.model.checkpoint import class_names
from mghft_export.model.mghft import MGHFT
from mghft_export.runtime.branches import Branches, onnx_branches
from mghft_export.runtime.onnx_session import OnnxSession
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.runtime.profile_choice import text_lengths
from mghft_export.runtime.session import DeviceArray
from mghft_export.runtime.text_cache import TextCache
from mghft_export.runtime.torch_session import torch_branches

IMAGES, TEXTS = synthetic_stickers(7)


class Watched(OnnxSession):
    """Takes only some batches, and remembers those that it ran."""

    sizes = None

    def batch_sizes(self, shapes):
        return self.sizes

    def run_device(self, feeds, stream=None):
        self.shapes = [*getattr(self, "shapes", []), next(iter(feeds.values())).shape]
        self.batches = [shape[0] for shape in self.shapes]
        return super().run_device(feeds, stream)


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def masked_bundle(tiny_config, tmp_path_factory):
    """A model whose texts are as long as they are: padding is not pooled."""
    torch.manual_seed(5)
    model = MGHFT(replace(tiny_config, pooling="masked")).eval()
    source = Source(model, class_names(7), "random weights", None, trained=False)
    return export_bundle(source, tmp_path_factory.mktemp("masked") / "bundle", ExportOptions())[0]


@pytest.fixture
def watched(bundle):
    return Branches(*(Watched(bundle.graph(branch)) for branch in BRANCHES), "watched", "fp32")


@pytest.fixture(scope="module")
def expected(bundle):
    """Through the host: nothing of the pipeline but preprocessing."""
    pipeline = Pipeline(bundle)
    tokens = pipeline.vision.run({"image": pipeline.preprocess(IMAGES)})
    features = pipeline.encode_texts(TEXTS)
    return pipeline.fusion.run({**tokens, "text_features": features})["logits"]


def test_texts_and_their_features_give_the_logits_of_the_branches(bundle, expected):
    pipeline = Pipeline(bundle)
    pixels = pipeline.preprocess(IMAGES)
    np.testing.assert_allclose(pipeline.logits(pixels, TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(pipeline.logits(pixels, pipeline.encode_texts(TEXTS)), expected, atol=1e-5)
    assert pipeline.logits(pixels[:0], []).shape == (0, 7)
    labels = [item.label for item in pipeline.predict(IMAGES, TEXTS)]
    assert labels == [bundle.manifest.class_names[row] for row in expected.argmax(axis=1)]


def test_a_batch_above_the_most_is_split_to_the_same_logits(bundle, watched, expected):
    watched.vision.sizes, watched.fusion.sizes = (range(1, 5),), (range(1, 4),)
    watched.text.sizes = (range(1, 3),)
    pipeline = Pipeline(bundle, branches=watched)
    found = pipeline.logits(pipeline.preprocess(IMAGES), TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert watched.vision.batches == watched.fusion.batches == [3, 2, 2]
    assert max(watched.text.batches) == 2
    assert sum(watched.text.batches) == len(set(TEXTS))


def test_texts_of_a_run_are_alike_in_length_and_come_back_in_order(bundle, tiny_config, monkeypatch):
    masked = bundle.manifest.text.model_copy(update={"pooling": "masked"})
    bundle = replace(bundle, manifest=bundle.manifest.model_copy(update={"text": masked}))
    branches = torch_branches(fuse(formula_model(tiny_config.replace(pooling="masked"))))
    texts = [" ".join(["a sticker"] * words) for words in (9, 1, 5, 2, 14, 3)]
    alone = [Pipeline(bundle, branches=branches).encode_texts([text]) for text in texts]
    shapes, run = [], branches.text.run_device
    monkeypatch.setattr(
        branches.text,
        "run_device",
        lambda feeds, stream: shapes.append(tuple(feeds["input_ids"].shape)) or run(feeds, stream),
    )
    monkeypatch.setattr("mghft_export.runtime.pipeline.TEXTS_AT_ONCE", 2)
    found = Pipeline(bundle, branches=branches).encode_texts(texts)
    np.testing.assert_allclose(found, np.concatenate(alone), atol=1e-5)
    assert [batch for batch, _ in shapes] == [2, 2, 2]
    lengths = [length for _, length in shapes]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[1] < lengths[2] < 64


def test_a_text_is_encoded_once(bundle, watched):
    pipeline = Pipeline(bundle, branches=watched, texts=TextCache(most=3))
    first = pipeline.encode_texts(TEXTS[:2])
    pipeline.encode_texts([TEXTS[1], TEXTS[2], TEXTS[1]])
    assert watched.text.batches == [2, 1]
    np.testing.assert_array_equal(pipeline.encode_texts(TEXTS[:2]), first)
    assert watched.text.batches == [2, 1]
    pipeline.encode_texts([TEXTS[3]])  # the fourth: the one unused longest goes
    pipeline.encode_texts([TEXTS[2]])
    assert watched.text.batches == [2, 1, 1, 1]


def test_a_shared_cache_keeps_what_runs_differently_apart(bundle, watched):
    cache = TextCache()
    for how, runs in (("a", 1), ("a", 1), ("b", 2)):
        branches = Branches(watched.vision, watched.text, watched.fusion, how, "fp32")
        Pipeline(bundle, branches=branches, texts=cache).encode_texts(TEXTS[:1])
        assert len(watched.text.batches) == runs
    assert len(cache) == 2
    Pipeline(bundle, branches=watched, texts=TextCache(0)).encode_texts(TEXTS[:1] * 2)
    assert watched.text.batches[2:] == [1]


def test_pytorch_runs_behind_the_same_protocol(bundle, tiny_model, expected):
    branches = torch_branches(fuse(tiny_model))
    pipeline = Pipeline(bundle, branches=branches)
    np.testing.assert_allclose(pipeline.logits(pipeline.preprocess(IMAGES), TEXTS), expected, atol=1e-4)
    onnx = onnx_branches(bundle)
    for branch in BRANCHES:
        ours, theirs = getattr(branches, branch), getattr(onnx, branch)
        assert list(ours.inputs.values()) == list(theirs.inputs.values())
        assert list(ours.outputs) == list(theirs.outputs)


def test_intermediates_go_from_one_implementation_to_another_where_they_are(bundle, tiny_model, expected):
    torch, onnx = torch_branches(fuse(tiny_model)), onnx_branches(bundle)
    for mixed in (
        Branches(torch.vision, onnx.text, onnx.fusion, "mixed", "fp32"),
        Branches(onnx.vision, torch.text, torch.fusion, "mixed", "fp32"),
    ):
        pipeline = Pipeline(bundle, branches=mixed)
        found = pipeline.logits(pipeline.preprocess(IMAGES), TEXTS)
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("make", ["onnx", "torch"])
def test_wrong_inputs_are_named(bundle, tiny_model, make):
    branches = onnx_branches(bundle) if make == "onnx" else torch_branches(fuse(tiny_model))
    session, image = branches.vision, np.zeros((1, 3, 96, 96), np.float32)
    for feeds, words in [
        ({}, "'image' is missing"),
        ({"image": image, "other": image}, "'other' is not known"),
        ({"image": image[:, :, 1:]}, r"must be float32 \[any, 3, 96, 96\]"),
        ({"image": image.astype(np.int64)}, "not int64"),
    ]:
        with pytest.raises(MGHFTError, match=words):
            session.run(feeds)
    on_gpu = DeviceArray(1, image.shape, image.dtype, "cuda", None)
    with pytest.raises(MGHFTError, match="is on cuda, the session runs on cpu"):
        session.run_device({"image": on_gpu}, None)


class OfAnEngine(Watched):
    """Takes the texts that an engine's profiles take."""

    profiles = (range(1, 9), range(2, 65))

    def batch_sizes(self, shapes):
        batches, lengths = self.profiles
        if shapes["input_ids"][1] not in lengths:
            raise EngineError("no profile")
        return (batches,)


WORDS = ["a cat", "a sad cat " * 3, "a sad cat sits " * 5, "a cat that sleeps " * 40, "so happy"]


@pytest.mark.parametrize(
    ("lengths", "found"),
    [
        (range(2, 65), {16, 24, 64}),
        (range(64, 65), {64}),
        (range(2, 21), {16}),
        (range(2, 33), {16, 24}),
        (range(12, 14), {12}),
    ],
)
def test_texts_of_an_engine_get_few_lengths_and_the_same_features(masked_bundle, lengths, found):
    """An engine prepares itself for each shape anew, and keeps only a few."""
    branches = onnx_branches(masked_bundle)
    texts = [text for text in WORDS if max(lengths) == 64 or len(text.split()) < max(lengths) - 2]
    expected = [Pipeline(masked_bundle, branches=branches).encode_texts([text]) for text in texts]
    engine = OfAnEngine(masked_bundle.graph("text"))
    engine.profiles = (range(1, 9), lengths)
    pipeline = Pipeline(masked_bundle, branches=replace(branches, text=engine))
    for text, features in zip(texts, expected, strict=True):
        np.testing.assert_allclose(pipeline.encode_texts([text]), features, atol=2e-6)
    assert {length for _, length in engine.shapes} == found


def test_text_lengths_are_few():
    assert list(text_lengths(2, 128))[:7] == [16, 24, 32, 48, 64, 96, 128]
    assert list(text_lengths(33, 77))[:4] == [48, 64, 77, 33]
    assert list(text_lengths(9, 12)) == [12, 9, 10, 11]
