"""Effects of layers on the tiny model: measured as they would be built, and a bad layer comes first."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest

from mghft_export.bundle import BRANCHES, load_bundle
from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.bundle.verifications import Budget
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.precision.calibration_run import Calibration, PrecisionOptions
from mghft_export.precision.int8 import to_int8
from mghft_export.precision.matrix_products import weight_products
from mghft_export.runtime.onnx_session import OnnxSession
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.sensitivity.effect import effect_of
from mghft_export.sensitivity.effects import groups_of, measure_groups, measure_layers
from mghft_export.sensitivity.layers import find_layers, kind_of, part_of, text_size
from mghft_export.sensitivity.search import quantised_layers, search
from mghft_export.sensitivity.shares import int8_shares
from mghft_export.sensitivity.whole_model import WholeModel
from mghft_export.stickers.image import open_sticker

STICKERS = 6


@pytest.fixture(scope="module")
def work(tiny_bundle, tmp_path_factory):
    recipe = QuantizationRecipe(branches=BRANCHES)
    options = PrecisionOptions(recipe=recipe, stickers=6, cache=tmp_path_factory.mktemp("cache"))
    return Calibration(load_bundle(tiny_bundle), options, lambda _: None)


@pytest.fixture(scope="module")
def recipe(work):
    return work.recipe()


@pytest.fixture(scope="module")
def stickers():
    return load_calibration_set(default_calibration_set()).stickers[-STICKERS:]


@pytest.fixture(scope="module")
def model(work, recipe, stickers):
    return WholeModel(work, recipe, stickers)


def layers_of(work, branch, stickers):
    return find_layers(work.bundle, branch, text_size(work.bundle, stickers)).layers


@pytest.mark.parametrize("branch", BRANCHES)
def test_one_layer_alone_is_what_the_conversion_builds_with_all_others_in_float(
    work, recipe, model, stickers, branch
):
    graph = onnx.load(work.bundle.graph(branch))
    names = [item.name for item in weight_products(graph.graph)]
    chosen = names[len(names) // 2]
    others = [name for name in names if name != chosen]
    built = to_int8(graph, recipe.ranges[branch], form="plain", float_layers=others)
    pipeline = Pipeline(work.bundle)
    setattr(pipeline, branch, OnnxSession(built.SerializeToString()))
    images = [open_sticker(item.image, background="white") for item in stickers]
    wanted = pipeline.logits(
        pipeline.preprocess(images), pipeline.encode_texts([item.text for item in stickers])
    )
    found = model.logits({branch: [chosen]})
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.abs(found - model.expected).max() > 1e-5
    np.testing.assert_array_equal(model.logits({}), model.expected)  # nothing of it stays behind


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_layer_with_a_bad_range_ranks_first(work, recipe, stickers, branch):
    layers = layers_of(work, branch, stickers)
    products = weight_products(onnx.load(work.bundle.graph(branch)).graph)
    readers = [item.activation for item in products]
    # Its activation is its own, so that no other layer gets the bad range.
    bad = next(item for item in products if readers.count(item.activation) == 1 and "fc2" in item.name)
    patched = {**recipe.ranges[branch], bad.activation: recipe.ranges[branch][bad.activation] / 200}
    spoilt = recipe.model_copy(update={"branches": (branch,), "ranges": {branch: patched}})
    some = [layer for layer in layers if layer.name == bad.name] + [
        layer for layer in layers if layer.name != bad.name
    ][:6]
    ranked = measure_layers(WholeModel(work, spoilt, stickers), some[::-1])
    assert ranked[0].layer.name == bad.name
    assert ranked[0].effect.kl > 10 * ranked[1].effect.kl
    assert [item.effect.kl for item in ranked] == sorted((item.effect.kl for item in ranked), reverse=True)


def test_groups_are_kinds_branches_and_all(model, work, stickers):
    layers = [*layers_of(work, "fusion", stickers), *layers_of(work, "text", stickers)]
    groups = {(branch, kind): members for branch, kind, members in groups_of(layers)}
    assert len(groups["all", "all"]) == len(layers)
    kinds = [members for (branch, kind), members in groups.items() if branch == "fusion" and kind != "all"]
    assert sorted(x.name for found in kinds for x in found) == sorted(x.name for x in groups["fusion", "all"])
    few = [layer for layer in layers if layer.kind == "fc2"]
    measured = measure_groups(model, few)
    names = {branch: [layer.name for layer in few if layer.branch == branch] for branch in ("fusion", "text")}
    assert measured[-1].effect == effect_of(model.expected, model.logits(names, form="cpu"))
    assert [item.layers for item in measured] == [0, 1, 1, 4, 4, 5]
    assert measured[0].effect == effect_of(model.expected, model.logits({}, form="cpu"))


def test_all_layers_together_are_the_bundle_and_the_search_without_a_layer_in_float(
    work, recipe, stickers, tiny_bundle, tmp_path
):
    """Three ways to the same graphs, whose numbers must not differ."""
    kept = {"vision": ("stage2.blocks.0.mlp.fc1.MatMul",)}
    chosen = recipe.model_copy(update={"branches": ("vision", "fusion"), "float_layers": kept})
    model = WholeModel(work, chosen, stickers)
    layers = [layer for branch in chosen.branches for layer in layers_of(work, branch, stickers)]
    quantised = quantised_layers(chosen, layers)
    assert len(quantised) == len(layers) - 1
    together = measure_groups(model, quantised)[-1]
    assert (together.branch, together.layers) == ("all", len(quantised))
    trial = search(model, layers, Budget(min_agreement=0)).trials[0]
    assert (trial.returned, trial.effect) == (0, together.effect)
    root = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    options = PrecisionOptions(recipe=chosen, cache=tmp_path / "cache")
    pipeline = Pipeline(add_precisions(load_bundle(root), ["int8"], options), precision="int8")
    pixels = pipeline.preprocess([open_sticker(item.image, background="white") for item in stickers])
    logits = pipeline.logits(pixels, pipeline.encode_texts([item.text for item in stickers]))
    assert effect_of(model.expected, logits).kl == pytest.approx(together.effect.kl, rel=1e-3)


def test_effects_are_computed_as_defined():
    expected = np.log(np.array([[0.5, 0.5], [0.2, 0.8]], np.float32)) + np.float32(3)
    found = np.log(np.array([[0.25, 0.75], [0.2, 0.8]], np.float32))
    effect = effect_of(expected, found)
    assert effect.kl == pytest.approx(0.5 * (0.5 * np.log(2) + 0.5 * np.log(0.5 / 0.75)), rel=1e-5)
    assert effect.max_abs == pytest.approx(3 + np.log(2), rel=1e-5)
    assert (effect.flips, effect.agreement) == (1, 0.5)
    assert effect.kl_error == pytest.approx(effect.kl / np.sqrt(2), rel=1e-5)  # of 2 kl and 0
    assert effect_of(expected, expected).kl == 0


@pytest.mark.parametrize(
    ("branch", "name", "kind", "part"),
    [
        ("vision", "stage2.patch_embed.projection.MatMul", "patch embedding", "vision stage 2"),
        ("vision", "stage1.blocks.0.attention.reduction.MatMul", "spatial reduction", "vision stage 1"),
        ("vision", "stage4.last.key_value.MatMul", "qkv", "vision stage 4"),
        ("text", "encoder.layers.0.query_key_value.MatMul", "qkv", "text"),
        ("text", "encoder.layers.3.output.MatMul", "projection", "text"),
        ("text", "projection.Gemm", "other", "text"),
        ("fusion", "injections.0.cross.0.Gemm", "injection", "fusion"),
        ("fusion", "head.Gemm", "other", "fusion"),
    ],
)
def test_kinds_and_parts_are_read_from_names(branch, name, kind, part):
    assert (kind_of(name), part_of(branch, name)) == (kind, part)


def test_shares_count_the_arithmetic_of_the_layers_in_float(work, recipe, stickers):
    size = text_size(work.bundle, stickers)
    found = {branch: find_layers(work.bundle, branch, size) for branch in BRANCHES}
    everything = int8_shares(found, recipe)
    head = next(layer for layer in found["fusion"].layers if layer.name == "head.Gemm")
    assert head.flops == 2 * 32 * 7
    kept = recipe.model_copy(update={"float_layers": {"fusion": (head.name,)}})
    fewer = int8_shares(found, kept)
    assert everything["fusion"].int8 - fewer["fusion"].int8 == pytest.approx(
        head.flops / found["fusion"].flops
    )
    assert fewer["vision"] == everything["vision"]
    assert 0.5 < everything["all"].int8 == everything["all"].most < 1
    none = recipe.model_copy(
        update={"float_layers": {branch: tuple(x.name for x in found[branch].layers) for branch in BRANCHES}}
    )
    assert int8_shares(found, none)["all"].int8 == 0


def test_a_branch_outside_the_recipe_is_refused(work, recipe, stickers):
    model = WholeModel(work, recipe.model_copy(update={"branches": ("fusion",)}), stickers)
    with pytest.raises(ValueError, match="vision"):
        model.logits({"vision": ["x"]})
