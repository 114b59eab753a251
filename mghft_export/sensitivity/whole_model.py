"""The whole model on the measured stickers, with any choice of layers quantised.

Results that a choice does not change are not computed again: images are preprocessed once, and each branch's outputs
are kept until other layers of the branch are quantised.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx

from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.graph.edits import edited
from mghft_export.precision.calibration_run import Calibration
from mghft_export.precision.half_constants import store_constants_in_half
from mghft_export.precision.int8 import to_int8
from mghft_export.precision.matrix_products import weight_products
from mghft_export.runtime.branches import Branches
from mghft_export.runtime.onnx_session import OnnxSession
from mghft_export.runtime.pipeline import FloatArray, Pipeline
from mghft_export.runtime.session import Session
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.image import open_sticker

PIXELS_AT_ONCE = 2**18
MOST_AT_ONCE = 16
"""Most stickers per batch. Large images gain nothing from batches on a CPU, and need memory."""

Form = Literal["plain", "cpu"]
"""Forms of :func:`~mghft_export.precision.int8.to_int8` that a study uses; the other one, `half`, is for GPUs."""

Outputs = list[Mapping[str, FloatArray]]
"""Outputs of one branch by name, one entry per batch."""


class _Setting(NamedTuple):
    """How a branch runs: as exported (form None), or converted with these layers quantised."""

    form: Form | None
    layers: frozenset[str]


class WholeModel:
    """A bundle's three branches, run together.

    Attributes:
        labels: classes of the stickers: [n].
        expected: logits of the float32 bundle: [n, classes].
    """

    def __init__(
        self,
        work: Calibration,
        recipe: QuantizationRecipe,
        stickers: Sequence[Sticker],
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Read the stickers and run them in float32.

        Args:
            recipe: a recipe with ranges. What it does not quantise is never changed.
            on_batch: called with the number of stickers done since the last call.

        Raises:
            StickerError: a sticker cannot be used.
        """
        self.recipe = recipe
        self._bundle = work.bundle
        self._pipeline = Pipeline(work.bundle)
        self._graphs = {branch: _convertible(work.smoothed(branch, recipe)) for branch in recipe.branches}
        self._kept: dict[str, dict[_Setting, Outputs]] = {"vision": {}, "text": {}}
        self.labels: npt.NDArray[np.int64] = np.array([item.label for item in stickers], np.int64)
        image = self._pipeline.inputs.image
        size = min(MOST_AT_ONCE, max(1, PIXELS_AT_ONCE // (image.height * image.width)))
        self._texts: list[list[str]] = []
        self._pixels: list[FloatArray] = []
        for start in range(0, len(stickers), size):
            batch = stickers[start : start + size]
            opened = [open_sticker(item.image, background=image.background) for item in batch]
            self._pixels.append(self._pipeline.preprocess(opened))
            self._texts.append([item.text for item in batch])
            on_batch(len(batch))
        self.expected = self.logits({})

    def logits(self, quantised: Mapping[str, Collection[str]], *, form: Form = "plain") -> FloatArray:
        """Logits [n, classes] with these layers of these branches quantised, and no others.

        Args:
            form: `plain` changes nothing but these layers; `cpu` runs all graphs as an INT8 bundle has them.

        Raises:
            ValueError: the recipe does not quantise one of these branches.
        """
        unknown = quantised.keys() - set(self.recipe.branches)
        if unknown:
            raise ValueError(f"the recipe does not quantise {sorted(unknown)}")
        chosen = {branch: frozenset(layers) for branch, layers in quantised.items()}

        def setting(branch: str) -> _Setting:
            layers = chosen.get(branch, frozenset())
            return _Setting(form if layers or form != "plain" else None, layers)

        tokens = self._outputs("vision", setting("vision"))
        features = self._outputs("text", setting("text"))
        fusion = self._session("fusion", setting("fusion"))
        rows = [fusion.run({**a, **b})["logits"] for a, b in zip(tokens, features, strict=True)]
        result: FloatArray = np.concatenate(rows)
        return result

    def _outputs(self, branch: str, setting: _Setting) -> Outputs:
        """Outputs of a branch, kept from the last time or computed. Those of float32 are always kept."""
        kept = self._kept[branch]
        if setting not in kept:
            session = self._session(branch, setting)
            found: Outputs
            if branch == "vision":
                found = [session.run({"image": pixels}) for pixels in self._pixels]
            else:
                own = self._pipeline
                branches = Branches(own.vision, session, own.fusion, f"study/{setting.form}", own.precision)
                pipeline = Pipeline.of_model(own.inputs, branches)
                found = [{"text_features": pipeline.encode_texts(texts)} for texts in self._texts]
            for old in [item for item in kept if item.form is not None]:
                del kept[old]
            kept[setting] = found
        return kept[setting]

    def _session(self, branch: str, setting: _Setting) -> Session:
        if setting.form is None:
            session: Session = getattr(self._pipeline, branch)
            return session
        return OnnxSession(self.graph(branch, setting.layers, setting.form).SerializeToString())

    def graph(self, branch: str, layers: Collection[str], form: Form) -> onnx.ModelProto:
        """A branch with these layers quantised."""
        if branch not in self._graphs:
            return edited(onnx.load(self._bundle.graph(branch)), store_constants_in_half)
        model = self._graphs[branch]
        others = {item.name for item in weight_products(model.graph)} - set(layers)
        return to_int8(model, self.recipe.ranges[branch], form=form, float_layers=others)


def _convertible(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph in the opset of quantised graphs, so that it is not converted again for every layer."""
    names = [item.name for item in weight_products(model.graph)]
    return to_int8(model, {}, form="plain", float_layers=names)
