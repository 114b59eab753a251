"""INT8 products compute what their graph says on every CPU, with VNNI or without."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest
from precision.products_alone import extreme_activations, products_alone, run_exactly, run_in_onnxruntime

from mghft_export.bundle import BRANCHES, load_bundle
from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.errors import ExportError
from mghft_export.precision import add_graphs as build
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.precision.int8 import to_int8
from mghft_export.precision.qdq import quantise_weight
from mghft_export.precision.saturation import PAIR_LIMIT, pair_sums, saturating_products

RNG = np.random.default_rng(0)


def saturating_product(activations, weights):
    """As CPUs without VNNI: pairs of u8 x s8 products are added in 16 bits, saturating, and those sums in 32."""
    products = activations[..., None].astype(np.int64) * weights
    paired = products.reshape(*products.shape[:-2], -1, 2, products.shape[-1]).sum(axis=-2)
    return np.clip(paired, -(2**15), 2**15 - 1).sum(axis=-2)


def heavy_tailed(rows, columns):
    return (RNG.standard_t(2, size=(rows, columns)) * 10.0 ** RNG.integers(-6, 3, columns)).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(64, 32), (33, 7), (1, 5), (2, 2)])
def test_no_pair_of_weights_exceeds_the_limit(shape, axis):
    weight = heavy_tailed(*shape) if axis == 1 else heavy_tailed(*shape).T
    levels, _ = quantise_weight(weight, axis)
    assert pair_sums(levels, axis).max() <= PAIR_LIMIT


def test_rounding_alone_never_exceeds_the_limit():
    """Every pair of a channel is exactly as large as the limit, so that rounding decides."""
    share = RNG.uniform(0, 1, size=(4000, 3))
    weight = np.stack([share, 1 - share], axis=1).reshape(-1, 3).astype(np.float32)
    levels, scale = quantise_weight(weight, 1)
    assert pair_sums(levels, 1).max() <= PAIR_LIMIT
    assert np.abs(levels * scale - weight).max() < scale.max()


def test_the_16_bit_sums_of_extreme_activations_are_exact():
    weight = heavy_tailed(128, 16)
    activations = RNG.choice([0, 1, 128, 254, 255], size=(200, 128))
    safe, _ = quantise_weight(weight, 1)
    full, _ = quantise_weight(weight, 1, sums_in_16_bits=False)
    worst = np.repeat(np.where(RNG.random((20, 1)) < 0.5, 0, 255), 128, axis=1)
    for rows in (activations, worst):
        assert np.array_equal(saturating_product(rows, safe), rows @ safe.astype(np.int64))
    both = np.concatenate([activations, worst])
    assert not np.array_equal(saturating_product(both, full), both @ full.astype(np.int64))


def test_scales_grow_only_where_a_pair_asks_for_it():
    weight = np.zeros((6, 2), np.float32)
    weight[[0, 3]] = 1.0  # large, but no neighbours
    weight[[4, 5], 1] = [0.9, 0.8]
    _, scale = quantise_weight(weight, 1)
    _, full = quantise_weight(weight, 1, sums_in_16_bits=False)
    assert scale[0] == full[0]
    assert scale[1] == pytest.approx(1.7 / PAIR_LIMIT, rel=1e-3)


@pytest.fixture(scope="module")
def int8_bundle(tiny_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saturation")
    shutil.copytree(tiny_bundle, folder / "bundle")
    options = PrecisionOptions(
        recipe=QuantizationRecipe(branches=BRANCHES, calibrator="max"), stickers=2, cache=folder / "cache"
    )
    return add_precisions(load_bundle(folder / "bundle"), ["int8", "int8-fp16"], options)


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_file_for_cpus_has_no_product_that_saturates(int8_bundle, branch):
    assert saturating_products(onnx.load(int8_bundle.graph(branch, "int8")).graph) == ()


def test_the_file_for_gpus_uses_all_eight_bits(int8_bundle):
    assert saturating_products(onnx.load(int8_bundle.graph("vision", "int8-fp16")).graph)
    marks = {name: entry.sums_in_16_bits for name, entry in int8_bundle.manifest.quantization.items()}
    assert marks == {"int8": True, "int8-fp16": False}


def test_a_graph_that_saturates_is_never_written(int8_bundle, tmp_path, monkeypatch):
    def full_range(model, ranges, *, form, float_layers):
        return to_int8(model, ranges, form="half", float_layers=float_layers)

    monkeypatch.setattr(build, "to_int8", full_range)
    before = int8_bundle.graph("vision", "int8").read_bytes()
    options = PrecisionOptions(recipe=QuantizationRecipe(calibrator="max"), stickers=1, cache=tmp_path)
    with pytest.raises(ExportError, match="can exceed 16 bits"):
        add_precisions(int8_bundle, ["int8"], options)
    assert int8_bundle.graph("vision", "int8").read_bytes() == before


@pytest.mark.parametrize("branch", BRANCHES)
def test_kernels_compute_what_the_graph_says(int8_bundle, branch):
    """Every product, with activations at both ends of the range, where neighbours add up to the most."""
    products = list(products_alone(onnx.load(int8_bundle.graph(branch, "int8")).graph))
    assert len(products) > 5
    for product in products:
        x = extreme_activations(product)
        found, expected = run_in_onnxruntime(product.model, x), run_exactly(product.model, x)
        limit = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=limit, err_msg=product.name)
