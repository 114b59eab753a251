"""Precisions of a bundle again under other names, with damage in one branch's graph."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from mghft_export.bundle import Bundle, load_bundle, write_manifest
from mghft_export.graph.entries import graph_entry
from mghft_export.precision.matrix_products import WeightProduct, weight_products

Damage = Callable[[onnx.GraphProto, list[WeightProduct]], None]
"""What it does to a graph, and the products of the float32 one."""

LEVELS, FEW_LEVELS = 127, 7
"""Largest magnitudes of 8 and of 4 bits."""


def with_damaged(bundle: Bundle, damages: dict[str, tuple[str, str, Damage]]) -> Bundle:
    """Add damaged precisions to a bundle.

    Args:
        damages: by the new precision's name: the precision it is made of, the branch, and what is done to it.
    """
    precisions, quantization = dict(bundle.manifest.precisions), dict(bundle.manifest.quantization)
    for name, (precision, branch, damage) in damages.items():
        model = onnx.load(bundle.graph(branch, precision))
        before = model.SerializeToString(deterministic=True)
        damage(model.graph, list(weight_products(onnx.load(bundle.graph(branch)).graph)))
        assert model.SerializeToString(deterministic=True) != before
        path = bundle.root / name / f"{branch}.onnx"
        path.parent.mkdir()
        onnx.save(model, path)
        precisions[name] = {**precisions[precision], branch: graph_entry(bundle.root, path)}
        if precision in quantization:
            quantization[name] = quantization[precision]
    write_manifest(
        bundle.root,
        bundle.manifest.model_copy(update={"precisions": precisions, "quantization": quantization}),
    )
    return load_bundle(bundle.root)


def replace_graph(bundle: Bundle, precision: str, branch: str, name: str) -> Bundle:
    """Put the damaged graph of a precision that :func:`with_damaged` added in the place of the good one."""
    source, target = (bundle.graph(branch, one) for one in (name, precision))
    shutil.copy(source, target)
    graphs = {**bundle.manifest.precisions[precision], branch: graph_entry(bundle.root, target)}
    precisions = {**bundle.manifest.precisions, precision: graphs}
    write_manifest(bundle.root, bundle.manifest.model_copy(update={"precisions": precisions}))
    return load_bundle(bundle.root)


def weights_shuffled(stage: str, word: str) -> Damage:
    """The values of one layer's weight in random order."""

    def damage(graph: onnx.GraphProto, products: list[WeightProduct]) -> None:
        weight = weight_of(graph, one_product(products, stage, word))
        array = numpy_helper.to_array(weight)
        set_array(weight, np.random.default_rng(0).permutation(array.ravel()).reshape(array.shape))

    return damage


def scale_doubled(stage: str, word: str) -> Damage:
    """What one layer's weight stands for, times two."""

    def damage(graph: onnx.GraphProto, products: list[WeightProduct]) -> None:
        product = one_product(products, stage, word)
        weight = weight_of(graph, product)
        scale = initializers(graph).get(f"{product.weight}.scale")
        target = weight if scale is None else scale
        set_array(target, 2 * numpy_helper.to_array(target))

    return damage


def range_cut(stage: str, word: str) -> Damage:
    """The range of the activation that one layer reads, a tenth of what it was."""

    def damage(graph: onnx.GraphProto, products: list[WeightProduct]) -> None:
        scale = initializers(graph)[f"{one_product(products, stage, word).activation}.scale"]
        set_array(scale, numpy_helper.to_array(scale) / 10)

    return damage


def four_bits(stage: str) -> Damage:
    """All weights of a stage's products in four bits, each output channel with a scale of its own."""

    def damage(graph: onnx.GraphProto, products: list[WeightProduct]) -> None:
        for product in products:
            if product.name.startswith(stage):
                weight = weight_of(graph, product)
                array = numpy_helper.to_array(weight).astype(np.float64)
                largest = (
                    np.full(1, LEVELS)
                    if weight.data_type == onnx.TensorProto.INT8
                    else np.abs(array).max(axis=1 - product.channel_axis, keepdims=True)
                )
                levels = np.rint(array * FEW_LEVELS / largest) * largest / FEW_LEVELS
                set_array(weight, np.rint(levels) if weight.data_type == onnx.TensorProto.INT8 else levels)

    return damage


def initializers(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    return {item.name: item for item in graph.initializer}


def one_product(products: list[WeightProduct], stage: str, word: str) -> WeightProduct:
    """The first of a stage whose name has this word."""
    return next(item for item in products if item.name.startswith(stage) and word in item.name)


def weight_of(graph: onnx.GraphProto, product: WeightProduct) -> onnx.TensorProto:
    """A product's weight in float, half or 8 bits."""
    found = next(
        item
        for item in _candidates(graph, product.weight)
        if item.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8)
    )
    assert len(found.dims) == 2
    return found


def _candidates(graph: onnx.GraphProto, name: str) -> Iterator[onnx.TensorProto]:
    known = initializers(graph)
    yield from (known[key] for key in (f"{name}.quantized", f"{name}.half", name) if key in known)


def set_array(item: onnx.TensorProto, array: np.ndarray) -> None:
    kind = numpy_helper.to_array(item).dtype
    item.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array.astype(kind)), item.name))
