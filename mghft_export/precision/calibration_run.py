"""Calibration stickers run through a bundle: ranges for INT8, magnitudes for FP16."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from mghft_export.bundle import BRANCHES, Bundle
from mghft_export.calibration.calibration_set import CalibrationSet, load_calibration_set
from mghft_export.calibration.default_set import default_calibration_set
from mghft_export.config import MGHFTConfig
from mghft_export.errors import MGHFTError
from mghft_export.precision.feeds import branch_feeds
from mghft_export.precision.fp16 import too_large
from mghft_export.precision.int8 import to_int8
from mghft_export.precision.products import weight_products
from mghft_export.precision.ranges import (
    Feeds,
    cache_key,
    cached_ranges,
    collect_ranges,
    default_cache_folder,
    write_cached_ranges,
)
from mghft_export.precision.recipe import QuantizationRecipe, belongs_to
from mghft_export.precision.smooth import channel_maxima, smooth, smoothable_norms
from mghft_export.runtime.onnx_session import OnnxSession
from mghft_export.runtime.pipeline import Pipeline

BOUNDED = {
    *("Concat", "Expand", "Gather", "GatherElements", "GatherND", "Identity", "Reshape", "Slice", "Softmax"),
    *("Split", "Squeeze", "Transpose", "Unsqueeze"),
}
"""Operators whose outputs are no larger than their inputs, or than 1."""


@dataclass(frozen=True)
class PrecisionOptions:
    """How to convert.

    Attributes:
        calibration: stickers; the set that comes with the package by default.
        recipe: how to quantise. With ranges in it, it is replayed: nothing is calibrated.
        half_io: FP16 graphs with FP16 inputs and outputs.
        stickers: at most so many of the calibration set, the first ones; all by default.
        cache: where ranges are kept.
    """

    calibration: Path | None = None
    recipe: QuantizationRecipe = field(default_factory=QuantizationRecipe)
    half_io: bool = False
    stickers: int | None = None
    cache: Path = field(default_factory=default_cache_folder)


class Calibration:
    """The stickers of a conversion and what was measured on them, each once and only if it is needed."""

    def __init__(self, bundle: Bundle, options: PrecisionOptions, on_step: Callable[[str], None]) -> None:
        self.bundle, self.options, self.on_step = bundle, options, on_step
        self._feeds: dict[str, Callable[[], Iterator[Feeds]]] | None = None
        self._set: CalibrationSet | None = None
        self._smoothed: dict[str, onnx.ModelProto] = {}

    @property
    def set(self) -> CalibrationSet:
        """The calibration set, checked."""
        if self._set is None:
            root = self.options.calibration or default_calibration_set()
            self._set = load_calibration_set(root, self.bundle.manifest.class_names)
        return self._set

    def feeds(self, branch: str) -> Iterator[Feeds]:
        """Runs of a branch of the float32 bundle."""
        if self._feeds is None:
            self._feeds = self._branch_feeds(Pipeline(self.bundle))
        return self._feeds[branch]()

    def magnitudes(self) -> dict[str, Any]:
        """Of the float tensors: how many were looked at, on how many stickers, and those that come near FP16's end."""
        found: dict[str, float] = {}
        for branch in BRANCHES:
            path = self.bundle.graph(branch)
            graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
            bounded = {name for node in graph.node if node.op_type in BOUNDED for name in node.output}
            floats = [
                item.name
                for item in graph.value_info
                if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and item.name not in bounded
            ]
            self.on_step(f"looking for values too large for FP16 in {branch}")
            values = self._ranges(branch, path, floats, QuantizationRecipe(calibrator="max"))
            found |= {f"{branch}: {name}": value for name, value in values.items()}
        return {
            "stickers": len(self.set.stickers[: self.options.stickers]),
            "calibration_set": self._set_entry(),
            "tensors": len(found),
            "largest": max(found.values()),
            "above_10000": too_large(found),
        }

    def recipe(self) -> QuantizationRecipe:
        """The options' recipe, with ranges."""
        given = self.options.recipe
        graphs = {branch: self.bundle.manifest.precisions["fp32"][branch].file.sha256 for branch in BRANCHES}
        if given.ranges:
            if not belongs_to(given, self.bundle.manifest):
                raise MGHFTError(
                    f"the recipe was made for another model than {self.bundle.root}; quantise it anew, without --recipe"
                )
            return given
        if given.fusion_inputs == "quantized" and "fusion" in given.branches:
            return self._with_quantised_inputs(given, graphs)
        return self._completed(
            given, graphs, {branch: self.branch_ranges(branch, given) for branch in given.branches}
        )

    def branch_ranges(
        self, branch: str, recipe: QuantizationRecipe, feeds: Callable[[], Iterator[Feeds]] | None = None
    ) -> dict[str, float]:
        """Ranges of the activations of a branch's products, on other feeds than the float32 bundle's if given."""
        model = self.smoothed(branch, recipe)
        names = list(dict.fromkeys(item.activation for item in weight_products(model.graph)))
        self.on_step(f"calibrating {branch} ({len(names)} activations, {recipe.calibrator})")
        with tempfile.TemporaryDirectory() as folder:
            path = self.bundle.graph(branch)
            if recipe.smooth is not None:
                path = Path(folder) / f"{branch}.onnx"
                onnx.save(model, path)
            if feeds is None:
                return self._ranges(branch, path, names, recipe)
            return collect_ranges(
                path, feeds(), names, calibrator=recipe.calibrator, percentile=recipe.percentile
            )

    def smoothed(self, branch: str, recipe: QuantizationRecipe) -> onnx.ModelProto:
        """The float32 graph after the scale migration that the recipe asks for."""
        if branch not in self._smoothed:
            path = self.bundle.graph(branch)
            model = onnx.load(path)
            if recipe.smooth is not None:
                norms = smoothable_norms(model.graph, weight_products(model.graph))
                maxima = (
                    channel_maxima(path, self.feeds(branch), [item.output for item in norms]) if norms else {}
                )
                smooth(model, norms, maxima, recipe.smooth)
            self._smoothed[branch] = model
        return self._smoothed[branch]

    def _ranges(
        self, branch: str, path: Path, tensors: list[str], recipe: QuantizationRecipe
    ) -> dict[str, float]:
        """From the cache, or collected and kept."""
        manifest, calibrator = self.bundle.manifest, recipe.calibrator
        key = cache_key(
            path,
            self.set.set_hash,
            tensors,
            calibrator,
            recipe.percentile if calibrator == "percentile" else None,
            self.options.stickers,
            branch,
            # What the branch reads depends on the preprocessing, and the fusion branch's on the other two graphs.
            manifest.image,
            manifest.text,
            [entry.file.sha256 for entry in manifest.precisions["fp32"].values()],
        )
        found = cached_ranges(self.options.cache, key)
        if found is None:
            found = collect_ranges(
                path, self.feeds(branch), tensors, calibrator=calibrator, percentile=recipe.percentile
            )
            write_cached_ranges(self.options.cache, key, found)
        return found

    def _with_quantised_inputs(
        self, recipe: QuantizationRecipe, graphs: Mapping[str, str]
    ) -> QuantizationRecipe:
        """Calibrate the fusion branch with what the quantised vision and text branches give it."""
        ranges = {
            branch: self.branch_ranges(branch, recipe) for branch in recipe.branches if branch != "fusion"
        }
        pipeline = Pipeline(self.bundle)
        for branch, found in ranges.items():
            layers = recipe.float_layers.get(branch, ())
            model = to_int8(self.smoothed(branch, recipe), found, float_layers=layers)
            setattr(pipeline, branch, OnnxSession(model.SerializeToString()))
        ranges["fusion"] = self.branch_ranges("fusion", recipe, self._branch_feeds(pipeline)["fusion"])
        return self._completed(recipe, graphs, ranges)

    def _branch_feeds(self, pipeline: Pipeline) -> dict[str, Callable[[], Iterator[Feeds]]]:
        stickers = self.set.stickers[: self.options.stickers]
        return branch_feeds(pipeline, stickers, MGHFTConfig.from_dict(self.bundle.manifest.model))

    def _completed(
        self,
        recipe: QuantizationRecipe,
        graphs: Mapping[str, str],
        ranges: Mapping[str, Mapping[str, float]],
    ) -> QuantizationRecipe:
        update = {"ranges": ranges, "graphs": graphs, "calibration_set": self._set_entry()}
        return QuantizationRecipe.model_validate({**dict(recipe), **update})

    def _set_entry(self) -> dict[str, str]:
        return {"name": self.set.root.resolve().name, "sha256": self.set.set_hash}
