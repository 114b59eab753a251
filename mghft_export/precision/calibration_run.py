"""Run calibration stickers through a bundle to find ranges for INT8 and magnitudes for FP16."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx

from mghft_export.bundle import BRANCHES, Bundle
from mghft_export.bundle.quantization_recipe import QuantizationRecipe, belongs_to
from mghft_export.config import MGHFTConfig
from mghft_export.errors import MGHFTError
from mghft_export.files.cache_folder import cache_folder
from mghft_export.precision.bundle_calibration_set import set_entry
from mghft_export.precision.calibration.calibration_set import CalibrationSet, load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.precision.feeds import OnStickers, no_report, run_images, run_texts
from mghft_export.precision.fp16 import too_large
from mghft_export.precision.histogram import Histogram
from mghft_export.precision.int8 import to_int8
from mghft_export.precision.matrix_products import weight_products
from mghft_export.precision.observe import (
    Run,
    observe_channel_maxima,
    observe_histograms,
    observe_maxima,
)
from mghft_export.precision.ranges import range_of
from mghft_export.precision.smooth import smooth, smoothable_norms
from mghft_export.precision.statistics_cache import (
    cached_arrays,
    histograms_from_arrays,
    histograms_to_arrays,
    maxima_from_arrays,
    maxima_to_arrays,
    write_cached_arrays,
)
from mghft_export.runtime.branches import onnx_branches
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.runtime.session import Array
from mghft_export.runtime.text_cache import TextCache
from mghft_export.stickers.dataset import Sticker

BOUNDED = {
    *("Concat", "Expand", "Gather", "GatherElements", "GatherND", "Identity", "Reshape", "Slice", "Softmax"),
    *("Split", "Squeeze", "Transpose", "Unsqueeze"),
}
"""Operators with outputs that are no larger than their inputs, or no larger than 1."""

DEFAULT_STICKERS = 32
"""INT8 is as accurate with ranges from 32 stickers as from 160 (docs/precision.md). Sets are in random order."""


@dataclass(frozen=True)
class PrecisionOptions:
    """How to convert.

    Attributes:
        calibration: the calibration set; None for the one that comes with the package.
        recipe: how to quantise. If it has ranges, they are used as they are, and nothing is calibrated.
        half_io: whether FP16 graphs have FP16 inputs and outputs.
        stickers: how many stickers of the calibration set are used, from its start; None for all.
        cache: the folder that keeps statistics of stickers for the next conversion.
    """

    calibration: Path | None = None
    recipe: QuantizationRecipe = field(default_factory=QuantizationRecipe)
    half_io: bool = False
    stickers: int | None = DEFAULT_STICKERS
    cache: Path = field(default_factory=lambda: cache_folder("calibration"))


class Calibration:
    """The stickers of a conversion and the statistics of a bundle's graphs on them.

    Statistics are computed once, and only if they are needed.

    Args:
        on_step: called with the name of each step when the step starts.
        on_stickers: called with how many stickers of this step are done, and how many there are.
        texts: text features that are known already, shared with other callers.
    """

    def __init__(
        self,
        bundle: Bundle,
        options: PrecisionOptions,
        on_step: Callable[[str], None],
        on_stickers: OnStickers = no_report,
        texts: TextCache | None = None,
    ) -> None:
        self.bundle, self.options, self.on_step, self.on_stickers = bundle, options, on_step, on_stickers
        self._set: CalibrationSet | None = None
        self._smoothed: dict[str, onnx.ModelProto] = {}
        self._texts = TextCache() if texts is None else texts
        self._float: Pipeline | None = None

    @property
    def set(self) -> CalibrationSet:
        """The calibration set, after its images and classes were checked."""
        if self._set is None:
            root = self.options.calibration or default_calibration_set()
            self._set = load_calibration_set(root, self.bundle.manifest.class_names)
        return self._set

    @property
    def stickers(self) -> tuple[Sticker, ...]:
        """The stickers of the set that are used."""
        return self.set.stickers[: self.options.stickers]

    def magnitudes(self) -> dict[str, Any]:
        """For the manifest: how many float tensors were checked, on how many stickers, and which are large for FP16."""
        models = {branch: onnx.load(self.bundle.graph(branch)) for branch in BRANCHES}
        tensors = {branch: _computed_floats(model) for branch, model in models.items()}
        doing = "looking for values too large for FP16 in"
        seen = self._seen("maxima", doing, models, tensors, self.stickers)
        found = {
            f"{branch}: {name}": float(array) for branch, own in seen.items() for name, array in own.items()
        }
        return {
            "stickers": len(self.stickers),
            "calibration_set": self._set_entry(),
            "tensors": len(found),
            "largest": max(found.values()),
            "above_10000": too_large(found),
        }

    def recipe(self) -> QuantizationRecipe:
        """The recipe of the options, with ranges. They are found by calibration unless the recipe has them.

        Raises:
            MGHFTError: the recipe has ranges and was made for another model.
        """
        given = self.options.recipe
        if given.ranges:
            if not belongs_to(given, self.bundle.manifest):
                raise MGHFTError(
                    f"the recipe was made for another model than {self.bundle.root}; quantise it anew, without --recipe"
                )
            return given
        update = {
            "ranges": self.ranges(given),
            "graphs": self._float_hashes(),
            "calibration_set": self._set_entry(),
        }
        return QuantizationRecipe.model_validate({**dict(given), **update})

    def ranges(
        self, recipe: QuantizationRecipe, stickers: Sequence[Sticker] | None = None
    ) -> dict[str, dict[str, float]]:
        """For each branch of the recipe, the ranges of its products' activations.

        Args:
            stickers: stickers of the calibration set; by default all that are used (:attr:`stickers`).
        """
        chosen = self.stickers if stickers is None else stickers
        quantised = recipe.fusion_inputs == "quantized" and "fusion" in recipe.branches
        first = [branch for branch in recipe.branches if not (quantised and branch == "fusion")]
        ranges = self._ranges(first, recipe, chosen)
        if quantised:
            ranges |= self._ranges(["fusion"], recipe, chosen, self._quantised(recipe, ranges))
        return {branch: ranges[branch] for branch in recipe.branches}

    def smoothed(self, branch: str, recipe: QuantizationRecipe) -> onnx.ModelProto:
        """The float32 graph of a branch, smoothed if the recipe asks for it."""
        if branch not in self._smoothed:
            model = onnx.load(self.bundle.graph(branch))
            norms = smoothable_norms(model.graph, weight_products(model.graph))
            if recipe.smooth is not None and norms:
                tensors = {branch: [item.output for item in norms]}
                doing = "looking at the channels of"
                seen = self._seen("channel maxima", doing, {branch: model}, tensors, self.stickers)
                smooth(model, norms, seen[branch], recipe.smooth)
            self._smoothed[branch] = model
        return self._smoothed[branch]

    def _ranges(
        self,
        branches: Sequence[str],
        recipe: QuantizationRecipe,
        stickers: Sequence[Sticker],
        quantised: Mapping[str, onnx.ModelProto] | None = None,
    ) -> dict[str, dict[str, float]]:
        models = {branch: self.smoothed(branch, recipe) for branch in branches}
        tensors = {
            branch: list(dict.fromkeys(item.activation for item in weight_products(model.graph)))
            for branch, model in models.items()
        }
        seen = self._seen("histograms", "calibrating", models, tensors, stickers, quantised)
        if recipe.calibrator == "entropy":
            self.on_step("choosing ranges by entropy")
        return {
            branch: {name: range_of(item, recipe.calibrator, recipe.percentile) for name, item in own.items()}
            for branch, own in seen.items()
        }

    def _seen(
        self,
        what: str,
        doing: str,
        models: Mapping[str, onnx.ModelProto],
        tensors: Mapping[str, Sequence[str]],
        stickers: Sequence[Sticker],
        quantised: Mapping[str, onnx.ModelProto] | None = None,
    ) -> dict[str, Any]:
        """Statistics by branch and tensor. One pass over the stickers makes and caches those that are missing.

        Args:
            what: the kind of statistics, a key of :data:`KINDS`.
            doing: the start of the step's name. The branches' names follow it.
            quantised: graphs by branch that run instead of the float32 ones, to make the fusion branch's inputs.
        """
        if not stickers:
            raise MGHFTError("there are no calibration stickers; give a set with at least one")
        observe, to_arrays, from_arrays = KINDS[what]
        found: dict[str, Any] = {}
        runs: dict[str, Run] = {}
        keys = {}
        for branch, model in models.items():
            keys[branch] = self._key(what, branch, model, tensors[branch], stickers, quantised or {})
            arrays = cached_arrays(self.options.cache, keys[branch])
            kept = None if arrays is None else from_arrays(arrays, tensors[branch])
            if kept is not None:
                found[branch] = kept
            else:
                runs[branch], found[branch] = observe(model, tensors[branch], branch)
        if not runs:
            self.on_step(f"{doing} {' and '.join(found)}: known from an earlier conversion")
            return found
        pipeline = self._pipeline(quantised or {})
        if "text" in runs:
            self.on_step(f"{doing} text")
            config = MGHFTConfig.from_dict(self.bundle.manifest.model)
            run_texts(pipeline, stickers, config, runs["text"], self.on_stickers)
        images = [branch for branch in runs if branch != "text"]
        if images:
            self.on_step(f"{doing} {' and '.join(images)}")
            vision = runs.get("vision", pipeline.vision.run)
            run_images(pipeline, stickers, vision, runs.get("fusion"), self.on_stickers)
        for branch in runs:
            write_cached_arrays(self.options.cache, keys[branch], to_arrays(found[branch]))
        return found

    def _key(
        self,
        what: str,
        branch: str,
        model: onnx.ModelProto,
        tensors: Sequence[str],
        stickers: Sequence[Sticker],
        quantised: Mapping[str, onnx.ModelProto],
    ) -> dict[str, Any]:
        """Everything that statistics depend on: the graph, the stickers, the tensors, and what the branch reads."""
        manifest = self.bundle.manifest
        inputs = self._float_hashes() | {name: _hash(graph) for name, graph in quantised.items()}
        return {
            "what": what,
            "graph": _hash(model),
            "tensors": list(tensors),
            "set": self.set.set_hash,
            "stickers": [str(item.image.relative_to(self.set.root)) for item in stickers],
            "preprocessing": [manifest.image.model_dump_json(), manifest.text.model_dump_json()],
            "inputs": inputs if branch == "fusion" else {},
        }

    def _pipeline(self, quantised: Mapping[str, onnx.ModelProto]) -> Pipeline:
        """A pipeline of the float32 graphs, except for the branches in `quantised`."""
        if self._float is None:
            self._float = Pipeline(self.bundle, texts=self._texts)
        if not quantised:
            return self._float
        models = {name: model.SerializeToString() for name, model in quantised.items()}
        branches = replace(onnx_branches(self.bundle, instead=models), how="calibration", precision="int8")
        return Pipeline(self.bundle, branches=branches)

    def _quantised(
        self, recipe: QuantizationRecipe, ranges: Mapping[str, Mapping[str, float]]
    ) -> dict[str, onnx.ModelProto]:
        """INT8 graphs of the branches that have ranges."""
        return {
            branch: to_int8(
                self.smoothed(branch, recipe), found, float_layers=recipe.float_layers.get(branch, ())
            )
            for branch, found in ranges.items()
        }

    def _float_hashes(self) -> dict[str, str]:
        graphs = self.bundle.manifest.precisions["fp32"]
        return {branch: graphs[branch].file.sha256 for branch in BRANCHES}

    def _set_entry(self) -> dict[str, str]:
        return {**set_entry(self.set), "stickers": str(len(self.stickers))}


KINDS: dict[
    str,
    tuple[
        Callable[[onnx.ModelProto, Sequence[str], str], tuple[Run, dict[str, Any]]],
        Callable[[Mapping[str, Any]], dict[str, Array]],
        Callable[[Mapping[str, Array], Sequence[str]], Mapping[str, Histogram] | Mapping[str, Array] | None],
    ],
] = {
    "histograms": (observe_histograms, histograms_to_arrays, histograms_from_arrays),
    "maxima": (observe_maxima, maxima_to_arrays, maxima_from_arrays),
    "channel maxima": (observe_channel_maxima, maxima_to_arrays, maxima_from_arrays),
}
"""Kinds of statistics: the function that observes them, and two that turn them into arrays for the cache and back."""


def _computed_floats(model: onnx.ModelProto) -> list[str]:
    """Names of the float tensors that are computed. Tensors that are only moved or bounded are left out."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    bounded = {name for node in graph.node if node.op_type in BOUNDED for name in node.output}
    return [
        item.name
        for item in graph.value_info
        if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and item.name not in bounded
    ]


def _hash(model: onnx.ModelProto) -> str:
    return hashlib.sha256(model.SerializeToString()).hexdigest()
