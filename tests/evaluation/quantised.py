"""A bundle with an INT8 precision, and the same with weights that are not its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from mghft_export.bundle import Bundle, load_bundle, write_manifest
from mghft_export.graph.entries import graph_entry
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration_run import PrecisionOptions


def quantised_bundle(tiny_bundle: Path, root: Path) -> Bundle:
    """A copy of the tiny bundle with FP16 and INT8, that calls itself trained, so that its measures count."""
    shutil.copytree(tiny_bundle, root)
    options = PrecisionOptions(stickers=4, cache=root.parent / "cache")
    bundle = add_precisions(load_bundle(root), ["fp16", "int8"], options)
    write_manifest(root, bundle.manifest.model_copy(update={"trained": True}))
    return load_bundle(root)


def with_negated_head(bundle: Bundle) -> Bundle:
    """INT8 logits times minus one: every sticker gets another class."""
    graph = onnx.load(bundle.graph("fusion", "int8")).graph
    constants = {item.name for item in graph.initializer}
    head = graph.node[-1]
    producer = {name: node for node in graph.node for name in node.output}
    weight, bias = producer[head.input[1]].input[0], head.input[2]
    assert {weight, bias} <= constants
    return with_weights(
        bundle, "int8", "fusion", lambda name, array: -array if name in (weight, bias) else array
    )


def with_shifted_channels(bundle: Bundle, branch: str) -> Bundle:
    """INT8 weights that are one channel off."""
    return with_weights(
        bundle,
        "int8",
        branch,
        lambda _, array: np.roll(array, 1, axis=1) if array.dtype == np.int8 and array.ndim == 2 else array,
    )


def with_weights(
    bundle: Bundle, precision: str, branch: str, change: Callable[[str, np.ndarray], np.ndarray]
) -> Bundle:
    """Other weights in a graph, which the manifest describes as if it had always been there."""
    path = bundle.graph(branch, precision)
    model = onnx.load(path)
    for item in model.graph.initializer:
        array = numpy_helper.to_array(item)
        item.CopyFrom(numpy_helper.from_array(change(item.name, array), item.name))
    onnx.save(model, path)
    manifest = json.loads((bundle.root / "manifest.json").read_text())
    manifest["precisions"][precision][branch] = graph_entry(bundle.root, path).model_dump(mode="json")
    (bundle.root / "manifest.json").write_text(json.dumps(manifest))
    return load_bundle(bundle.root)
