"""The search under a budget, on a model whose flips are written down, and on the tiny one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from mghft_export.bundle import load_bundle
from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.bundle.verifications import Budget
from mghft_export.errors import MGHFTError
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.precision.calibration_run import Calibration, PrecisionOptions
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.sensitivity.effects import measure_layers
from mghft_export.sensitivity.layers import Layer, find_layers, text_size
from mghft_export.sensitivity.search import check_reachable, search
from mghft_export.sensitivity.whole_model import WholeModel
from mghft_export.stickers.image import open_sticker

LAYERS = [Layer("vision", f"layer{number}", "fc1", "vision", 1.0) for number in range(10)]


@dataclass
class WrittenDown:
    """A model of ten stickers; `flips` says how many change with so many layers in float."""

    flips: list[int]
    recipe: QuantizationRecipe = field(default_factory=QuantizationRecipe)
    asked: list[int] = field(default_factory=list)
    labels = np.zeros(10, np.int64)
    expected = np.tile(np.array([[1.0, 0.0]], np.float32), (10, 1))

    def logits(self, quantised, *, form):
        assert form == "cpu"
        returned = 10 - len(quantised.get("vision", ()))
        assert quantised.get("vision", []) == [layer.name for layer in LAYERS[returned:]]
        self.asked.append(returned)
        found = self.expected.copy()
        found[: self.flips[returned]] = [0, 1]
        return found


def test_nothing_goes_back_where_the_budget_holds_at_once():
    model = WrittenDown([1] * 11)
    found = search(model, LAYERS, Budget(min_agreement=0.9))
    assert (found.returned, model.asked, found.recipe.float_layers) == ((), [0], {})


@pytest.mark.parametrize("enough", range(1, 11))
def test_the_fewest_go_back_where_more_layers_never_hurt(enough):
    model = WrittenDown([2 if number < enough else 1 for number in range(11)])
    found = search(model, LAYERS, Budget(min_agreement=0.9))
    assert [layer.name for layer in found.returned] == [f"layer{number}" for number in range(enough)]
    assert found.recipe.float_layers["vision"] == tuple(layer.name for layer in found.returned)
    assert len(model.asked) == len(set(model.asked)) <= 8


def test_what_is_returned_was_measured_though_flips_go_up_and_down():
    flips = [5, 4, 0, 3, 2, 0, 2, 0, 1, 2, 0]
    model = WrittenDown(flips)
    found = search(model, LAYERS, Budget(min_agreement=1))
    assert flips[len(found.returned)] == 0
    assert found.chosen in found.trials
    assert found.chosen.holds
    assert found.chosen.effect.flips == 0


def test_a_budget_that_float_misses_is_one_sentence():
    with pytest.raises(MGHFTError, match="even with every layer in float"):
        search(WrittenDown([1] * 11), LAYERS, Budget(min_agreement=0.95))
    model = WrittenDown([5] * 10 + [1])
    with pytest.raises(MGHFTError, match="even with every layer in float"):
        check_reachable(model, LAYERS, Budget(min_agreement=0.95))
    check_reachable(model, LAYERS, Budget(min_agreement=0.9))
    assert model.asked == [10, 10]


def test_both_limits_count_and_macro_f1_is_a_share():
    # One wrong sticker of ten: float32's F1 is 1, and of the two classes that occur one has 18/19, the other none.
    model = WrittenDown([1] * 3 + [0] * 8)
    found = search(model, LAYERS, Budget(min_agreement=0.5, max_drop=0.01))
    assert len(found.returned) == 3
    assert found.trials[0].drop == pytest.approx(1 - 18 / 19 / 2)
    assert not search(model, LAYERS, Budget(min_agreement=0.5)).returned


def test_what_the_recipe_keeps_in_float_stays_there():
    class Kept(WrittenDown):
        def logits(self, quantised, *, form):
            assert "layer9" not in quantised["vision"]
            return super().logits({"vision": [*quantised["vision"], "layer9"]}, form=form)

    recipe = QuantizationRecipe(float_layers={"vision": ("layer9",)})
    found = search(Kept([2, 1] + [0] * 9, recipe), LAYERS, Budget(min_agreement=0.9))
    assert found.recipe.float_layers["vision"] == ("layer9", "layer0")


def test_the_bad_layer_goes_back_and_the_bundle_runs_as_measured(tiny_bundle, tmp_path):
    bundle = load_bundle(Path(shutil.copytree(tiny_bundle, tmp_path / "bundle")))
    options = PrecisionOptions(
        recipe=QuantizationRecipe(branches=("fusion",)), stickers=4, cache=tmp_path / "cache"
    )
    work = Calibration(bundle, options, lambda _: None)
    stickers = load_calibration_set(default_calibration_set()).stickers[-8:]
    recipe = work.recipe()
    layers = find_layers(bundle, "fusion", text_size(bundle, stickers)).layers
    # Without its activation the head only knows its bias, and all stickers become one class.
    bad = next(layer for layer in layers if layer.name == "head.Gemm")
    activation = "block.Add_3_output"
    ranges = {"fusion": {**recipe.ranges["fusion"], activation: 1e-3}}
    model = WholeModel(work, recipe.model_copy(update={"ranges": ranges}), stickers)
    ranked = [item.layer for item in measure_layers(model, [bad, *layers[:3], *layers[-4:-1]])]
    ranked += [layer for layer in layers if layer not in ranked]
    found = search(model, ranked, Budget(min_agreement=1))
    assert found.trials[0].effect.flips > 0
    assert found.returned == (bad,)
    assert found.chosen.effect.flips == 0
    made = add_precisions(bundle, ["int8"], PrecisionOptions(recipe=found.recipe, cache=tmp_path / "cache"))
    pipeline = Pipeline(made, precision="int8")
    images = [open_sticker(item.image, background="white") for item in stickers]
    logits = pipeline.logits(
        pipeline.preprocess(images), pipeline.encode_texts([item.text for item in stickers])
    )
    names = [layer.name for layer in layers if layer != bad]
    np.testing.assert_allclose(logits, model.logits({"fusion": names}, form="cpu"), atol=1e-5)
    assert not np.allclose(logits, model.expected, atol=1e-5)
