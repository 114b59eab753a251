"""``sensitivity`` ranks, searches and applies from the command line, and says in one sentence what it cannot do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mghft_export.bundle import BRANCHES, load_bundle
from mghft_export.bundle.quantization_recipe import QuantizationRecipe, read_recipe, write_recipe
from mghft_export.cli.main import cli, run
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration.sampling import sample_stickers
from mghft_export.precision.calibration.write_set import write_calibration_set
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.stickers.dataset import load_dataset

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def calibration(small_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "set"
    write_calibration_set(sample_stickers(load_dataset(small_set), 12, seed=0), folder)
    return folder


@pytest.fixture
def bundle(tiny_bundle, tmp_path):
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.fixture
def invoke(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*arguments):
        status = run(cli, ["sensitivity", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_ranking_files_search_and_replay(invoke, bundle, calibration, tmp_path):
    folder, recipe = tmp_path / "study", tmp_path / "chosen.json"
    status, out, _ = invoke(
        bundle, "--calibration", calibration, "--branch", "fusion", "--min-agreement", 30,
        "--recipe-out", recipe, "--apply", "-o", folder, "--json",
    )  # fmt: skip
    assert status == 0
    study = json.loads(out)
    assert study == json.loads((folder / "sensitivity.json").read_text())
    assert (study["stickers"], study["measured_on"]) == (3, "every 4th sticker of calibration set set")
    assert study["quantization"]["calibration_set"]["part"] == "all but every 4th sticker"
    kl = [item["kl"] for item in study["layers"]]
    assert kl == sorted(kl, reverse=True)
    assert {item["branch"] for item in study["layers"]} == {"fusion"}
    assert [item["layers"] for item in study["groups"]][-1] == len(kl)
    assert study["search"]["chosen"]["holds"]
    svg = (folder / "sensitivity.svg").read_text()
    assert "</svg>" in svg
    made = load_bundle(bundle)
    assert read_recipe(bundle / "int8") == read_recipe(recipe)
    assert set(made.manifest.precisions) == {"fp32", "int8"}
    before = {branch: made.graph(branch, "int8").read_bytes() for branch in BRANCHES}
    options = PrecisionOptions(recipe=read_recipe(recipe), cache=tmp_path / "other")
    again = add_precisions(made, ["int8"], options)
    assert {branch: again.graph(branch, "int8").read_bytes() for branch in BRANCHES} == before


def test_tables_on_another_data_set_from_a_recipe(invoke, bundle, small_set, calibration, tmp_path):
    options = PrecisionOptions(calibration, QuantizationRecipe(branches=("fusion",)), cache=tmp_path / "c")
    add_precisions(load_bundle(bundle), ["int8", "int8-fp16"], options)
    recipe = read_recipe(bundle / "int8")
    ranges = {"fusion": {**recipe.ranges["fusion"], "block.Add_3_output": 1e-3}}
    write_recipe(tmp_path / "bad.json", recipe.model_copy(update={"ranges": ranges}))
    status, out, _ = invoke(
        bundle, "--calibration", calibration, "--data", small_set, "--recipe", tmp_path / "bad.json",
        "--min-agreement", 100, "--apply",
    )  # fmt: skip
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert next(line for line in lines if line[:1] == ["1"])[1:3] == ["fusion:", "head.Gemm"]
    assert "checked on 8 stickers (the val split of stickers-small)" in out
    assert "of the multiply-adds stay in INT8" in out
    for precision in ("int8", "int8-fp16"):
        assert "head.Gemm" in read_recipe(bundle / precision).float_layers["fusion"]


def test_without_a_set_it_is_the_one_of_the_bundle(invoke, bundle, calibration, tmp_path):
    options = PrecisionOptions(calibration, QuantizationRecipe(branches=("fusion",)), cache=tmp_path / "c")
    add_precisions(load_bundle(bundle), ["int8"], options)
    status, out, _ = invoke(bundle, "--branch", "fusion", "--json")
    assert status == 0
    study = json.loads(out)
    assert study["calibrated_on"] == "calibration set set, which the bundle was calibrated with"
    assert study["measured_on"] == f"every 4th sticker of {study['calibrated_on']}"
    assert study["quantization"]["calibration_set"]["path"] == str(calibration)
    assert study["stickers"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--apply"], "need a budget"),
        (["--recipe-out", "x.json"], "need a budget"),
        (["--split", "val"], "add --data"),
        (["--recipe", "x.json", "--smooth", "0.5"], "--recipe already says"),
        (["--max-drop", "0.5"], "random weights"),
        (["--data", "{small_set}", "--split", "train"], "calibration set as well"),
        (["--data", "{small_set}", "--split", "other"], "no split 'other'"),
        (["--recipe", "{recipe}"], "pass other stickers with --data"),
        (
            ["--recipe", "{recipe}", "--branch", "text", "--data", "{small_set}"],
            "no ranges for the text branch",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    invoke, tiny_bundle, small_set, calibration, tmp_path, arguments, message
):
    graphs = {
        branch: load_bundle(tiny_bundle).manifest.precisions["fp32"][branch].file.sha256
        for branch in BRANCHES
    }
    recipe = QuantizationRecipe(ranges={"vision": {}, "fusion": {}}, graphs=graphs)
    write_recipe(tmp_path / "recipe.json", recipe)
    places = {"small_set": small_set, "recipe": tmp_path / "recipe.json"}
    given = [item.format(**places) for item in arguments]
    status, out, err = invoke(tiny_bundle, "--calibration", calibration, *given)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err


def test_a_set_too_small_to_be_divided(invoke, tiny_bundle, small_set, tmp_path):
    write_calibration_set(sample_stickers(load_dataset(small_set), 3, seed=0), tmp_path / "three")
    status, _, err = invoke(tiny_bundle, "--calibration", tmp_path / "three")
    assert status == 2
    assert "too few to measure on some" in err
