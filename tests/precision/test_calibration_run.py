"""Stickers run once: what is seen in one pass serves every calibrator, and the cache every later conversion."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from mghft_export.bundle import BRANCHES, load_bundle
from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.config import MGHFTConfig
from mghft_export.precision import calibration_run, feeds
from mghft_export.precision.calibration_run import Calibration, PrecisionOptions
from mghft_export.precision.feeds import run_images, run_texts
from mghft_export.precision.matrix_products import weight_products
from mghft_export.precision.observe import observed
from mghft_export.runtime.pipeline import Pipeline

STICKERS = 5


@pytest.fixture
def opened(monkeypatch):
    """Names of the stickers that are opened, in order."""
    names = []
    real = feeds.open_sticker

    def counting(path, **options):
        names.append(path.name)
        return real(path, **options)

    monkeypatch.setattr(feeds, "open_sticker", counting)
    return names


def calibration(bundle, tmp_path, steps=None, counts=None, stickers=STICKERS, **recipe):
    options = PrecisionOptions(
        recipe=QuantizationRecipe(**recipe), stickers=stickers, cache=tmp_path / "cache"
    )
    report = (lambda done, total: None) if counts is None else (lambda *both: counts.append(both))
    return Calibration(
        load_bundle(bundle), options, (lambda _: None) if steps is None else steps.append, report
    )


@pytest.mark.parametrize("branches", [BRANCHES, ("vision", "fusion"), ("fusion",)])
def test_each_sticker_is_run_once_for_all_branches(tiny_bundle, tmp_path, opened, branches):
    work = calibration(tiny_bundle, tmp_path, branches=branches)
    assert set(work.recipe().ranges) == set(branches)
    assert opened == [item.image.name for item in work.stickers]


@pytest.mark.parametrize("branches", [BRANCHES, ("fusion",)])
def test_ranges_hold_every_value_of_a_plain_run(tiny_bundle, tmp_path, branches):
    work = calibration(tiny_bundle, tmp_path, branches=branches, calibrator="max")
    ranges = work.recipe().ranges
    pipeline = Pipeline(work.bundle)
    found = {}

    def look(name, values):
        found[name] = max(found.get(name, 0.0), float(np.abs(values).max()))

    runs = {}
    for branch in BRANCHES:
        model = onnx.load(work.bundle.graph(branch))
        names = list(dict.fromkeys(item.activation for item in weight_products(model.graph)))
        runs[branch] = observed(
            model, names, lambda name, values, branch=branch: look((branch, name), values)
        )
    config = MGHFTConfig.from_dict(work.bundle.manifest.model)
    run_texts(pipeline, work.stickers, config, runs["text"])
    for sticker in work.stickers:  # one after the other: nothing is shared between stickers
        run_images(pipeline, [sticker], runs["vision"], runs["fusion"])
    for branch in branches:
        assert ranges[branch] == pytest.approx(
            {name: value for (own, name), value in found.items() if own == branch}, rel=1e-4
        )


def test_another_calibrator_or_percentile_runs_no_sticker_again(tiny_bundle, tmp_path, opened):
    first = calibration(tiny_bundle, tmp_path, percentile=99).recipe()
    assert len(opened) == STICKERS
    steps, others = [], [{"percentile": 90}, {"calibrator": "max"}, {"calibrator": "entropy"}]
    for other in others:
        again = calibration(tiny_bundle, tmp_path, steps, **other).recipe()
        assert again.ranges != first.ranges
        assert again.ranges.keys() == first.ranges.keys()
    assert calibration(tiny_bundle, tmp_path, percentile=99).recipe() == first
    assert len(opened) == STICKERS
    assert sum("earlier conversion" in step for step in steps) == len(others)


def test_what_changes_the_values_runs_the_stickers_again(tiny_bundle, tmp_path, opened):
    calibration(tiny_bundle, tmp_path).recipe()
    for number, change in enumerate([{"stickers": 3}, {"smooth": 0.5}, {"fusion_inputs": "quantized"}], 1):
        before = len(opened)
        calibration(tiny_bundle, tmp_path, **change).recipe()
        assert len(opened) > before, number
        before = len(opened)
        calibration(tiny_bundle, tmp_path, **change).recipe()
        assert len(opened) == before, number


def test_a_branch_that_is_not_kept_is_run_alone(tiny_bundle, tmp_path, opened):
    both = calibration(tiny_bundle, tmp_path).recipe()
    fusion = calibration(tiny_bundle, tmp_path / "other", branches=("fusion",)).recipe()
    opened.clear()
    steps = []
    again = calibration(tiny_bundle, tmp_path / "other", steps).recipe()
    assert len(opened) == STICKERS
    assert steps == ["calibrating vision"]
    assert again.ranges["vision"] == both.ranges["vision"]
    assert again.ranges["fusion"] == fusion.ranges["fusion"] == pytest.approx(both.ranges["fusion"], rel=1e-3)


def test_a_damaged_cache_is_made_anew(tiny_bundle, tmp_path, opened):
    first = calibration(tiny_bundle, tmp_path).recipe()
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(file.read_bytes()[:-100])
    assert calibration(tiny_bundle, tmp_path).recipe() == first
    assert len(opened) == 2 * STICKERS


def test_every_sticker_is_reported(tiny_bundle, tmp_path):
    steps, counts = [], []
    calibration(tiny_bundle, tmp_path, steps, counts, branches=BRANCHES).recipe()
    assert steps == ["calibrating text", "calibrating vision and fusion"]
    assert counts == 2 * [(number, STICKERS) for number in range(1, STICKERS + 1)]
    counts.clear()
    calibration(tiny_bundle, tmp_path, counts=counts).magnitudes()
    assert counts == 2 * [(number, STICKERS) for number in range(1, STICKERS + 1)]


def test_quantised_inputs_leave_the_float_pipeline_as_it_was(tiny_bundle, tmp_path):
    work = calibration(tiny_bundle, tmp_path, branches=BRANCHES, fusion_inputs="quantized")
    quantised = work.recipe().ranges
    kept = calibration_run.Calibration.ranges(work, QuantizationRecipe(branches=BRANCHES))
    fresh = calibration(tiny_bundle, tmp_path / "other", branches=BRANCHES).recipe().ranges
    assert kept == fresh
    assert quantised["vision"] == fresh["vision"]
    assert quantised["fusion"] != fresh["fusion"]
    assert quantised["fusion"] == pytest.approx(fresh["fusion"], rel=0.3)
