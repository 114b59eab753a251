"""Precisions of a whole bundle: calibrated on real stickers, described, replayed, and nothing half-written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mghft_export.bundle import ADDED_PRECISIONS, BRANCHES, MANIFEST, load_bundle
from mghft_export.bundle.quantization_recipe import RECIPE, QuantizationRecipe, read_recipe
from mghft_export.errors import ExportError, MGHFTError
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.image import open_sticker


@pytest.fixture
def bundle(tiny_bundle, tmp_path):
    return load_bundle(Path(shutil.copytree(tiny_bundle, tmp_path / "bundle")))


def options(tmp_path, **recipe):
    return PrecisionOptions(recipe=QuantizationRecipe(**recipe), stickers=4, cache=tmp_path / "cache")


def logits(bundle, precision):
    stickers = load_calibration_set(default_calibration_set()).stickers[:6]
    pipeline = Pipeline(bundle, precision=precision)
    images = [open_sticker(sticker.image, background="white") for sticker in stickers]
    return pipeline.logits(
        pipeline.preprocess(images), pipeline.encode_texts([sticker.text for sticker in stickers])
    )


def test_every_precision_runs_and_stays_near_float32(bundle, tmp_path):
    made = add_precisions(bundle, ADDED_PRECISIONS, options(tmp_path, branches=BRANCHES))
    expected = logits(made, "fp32")
    spread = np.ptp(expected)
    for precision, limit in {"fp16": 0.02, "int8": 0.2, "int8-fp16": 0.2}.items():
        found = logits(made, precision)
        assert 0 < np.abs(found - expected).max() < limit * spread, precision
    assert np.abs(logits(made, "int8") - logits(made, "int8-fp16")).max() < 0.1 * spread
    assert made.manifest.magnitudes["tensors"] > 100
    recipe = read_recipe(made.root / "int8")
    assert set(recipe.ranges) == set(BRANCHES)
    used = load_calibration_set(default_calibration_set()).set_hash
    assert recipe.calibration_set["sha256"] == used
    assert made.manifest.quantization["int8"].calibration_set["sha256"] == used


def test_two_processes_that_add_precisions_do_not_undo_each_other(bundle, tmp_path):
    """Each has read the manifest before the other wrote it."""
    others = []

    def meanwhile(step):
        if step.startswith("writing") and not others:
            others.append(add_precisions(load_bundle(bundle.root), ["fp16"], options(tmp_path)))

    made = add_precisions(bundle, ["int8"], options(tmp_path), on_step=meanwhile)
    assert set(made.manifest.precisions) == {"fp32", "fp16", "int8"}
    assert made.manifest.magnitudes is not None
    Pipeline(made, precision="fp16")


def test_a_bundle_that_is_exported_again_meanwhile_gets_no_graphs_of_the_old_one(bundle, tmp_path):
    def meanwhile(step):
        if step.startswith("writing fp16/fusion"):
            values = json.loads((bundle.root / MANIFEST).read_text())
            values["precisions"]["fp32"]["vision"]["nodes"] += 1
            (bundle.root / MANIFEST).write_text(json.dumps(values))

    with pytest.raises(ExportError, match="was exported again meanwhile"):
        add_precisions(bundle, ["fp16"], options(tmp_path), on_step=meanwhile)
    assert set(load_bundle(bundle.root).manifest.precisions) == {"fp32"}
    assert not (bundle.root / "fp16").exists()


def test_fp16_inputs_and_outputs_run_through_the_same_pipeline(bundle, tmp_path):
    made = add_precisions(bundle, ["fp16"], PrecisionOptions(half_io=True, stickers=2, cache=tmp_path))
    assert {tensor.dtype for tensor in made.manifest.precisions["fp16"]["vision"].inputs} == {"float16"}
    expected = logits(made, "fp32")
    assert np.abs(logits(made, "fp16") - expected).max() < 0.02 * np.ptp(expected)


def test_text_stays_float_unless_asked(bundle, tmp_path):
    made = add_precisions(bundle, ["int8"], options(tmp_path))
    assert set(read_recipe(made.root / "int8").ranges) == {"vision", "fusion"}


@pytest.mark.parametrize("fusion_inputs", ["float", "quantized"])
def test_calibrators_differ_and_a_recipe_is_replayed_to_the_byte(bundle, tmp_path, fusion_inputs):
    most = options(tmp_path, fusion_inputs=fusion_inputs, calibrator="percentile", percentile=90, smooth=0.5)
    made = add_precisions(bundle, ["int8"], most)
    recipe = read_recipe(made.root / "int8" / RECIPE)
    before = {branch: made.graph(branch, "int8").read_bytes() for branch in BRANCHES}
    again = add_precisions(
        made, ["int8"], PrecisionOptions(recipe=recipe, stickers=4, cache=tmp_path / "other")
    )
    assert {branch: again.graph(branch, "int8").read_bytes() for branch in BRANCHES} == before
    largest = read_recipe(add_precisions(bundle, ["int8"], options(tmp_path, smooth=0.5)).root / "int8")
    name = next(iter(recipe.ranges["vision"]))
    assert recipe.ranges["vision"][name] < largest.ranges["vision"][name]


def test_a_recipe_of_another_model_is_refused_and_the_bundle_stays(bundle, tmp_path):
    recipe = QuantizationRecipe(graphs={"vision": "0" * 64}, ranges={"vision": {"x": 1.0}})
    before = (bundle.root / "manifest.json").read_bytes()
    with pytest.raises(MGHFTError, match="another model"):
        add_precisions(bundle, ["int8"], PrecisionOptions(recipe=recipe, cache=tmp_path / "cache"))
    assert (bundle.root / "manifest.json").read_bytes() == before
    assert not (bundle.root / "int8").exists()


def test_a_bad_calibration_folder_leaves_the_bundle_as_it_was(bundle, tmp_path):
    (tmp_path / "empty").mkdir()
    before = sorted(path.name for path in bundle.root.iterdir())
    with pytest.raises(MGHFTError, match="empty"):
        add_precisions(bundle, ["fp16"], PrecisionOptions(calibration=tmp_path / "empty"))
    assert sorted(path.name for path in bundle.root.iterdir()) == before


def test_a_recipe_file_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / RECIPE).write_text("{}x")
    with pytest.raises(MGHFTError, match=r"is not JSON; give the recipe\.json of a quantised bundle"):
        read_recipe(tmp_path)
    with pytest.raises(MGHFTError, match="no recipe at"):
        read_recipe(tmp_path / "nowhere.json")


def test_no_stickers_is_an_error(bundle, tmp_path):
    none = PrecisionOptions(stickers=0, cache=tmp_path / "cache")
    with pytest.raises(MGHFTError, match="no calibration stickers"):
        add_precisions(bundle, ["int8"], none)


def test_magnitudes_are_maxima_whatever_gives_the_ranges(bundle, tmp_path):
    found = [
        add_precisions(bundle, ["fp16"], options(tmp_path / name, calibrator=name)).manifest.magnitudes
        for name in ("max", "percentile")
    ]
    assert found[0] == found[1]
