"""`mghft-export trt` and `mghft-export inspect`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mghft_export.bundle import load_bundle
from mghft_export.bundle.calibration_manifest import make_manifest, read_manifest, write_manifest
from mghft_export.bundle.quantization_recipe import QuantizationRecipe, read_recipe
from mghft_export.bundle.recorded_verifications import recorded_verification
from mghft_export.cli.main import cli, run
from mghft_export.engines.loading import engine_folders, load_engine_folder
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.stopping import SIGNALS

pytestmark = pytest.mark.usefixtures("rtx")


def mghft(*arguments):
    return run(cli, [str(item) for item in arguments])


def test_fp16_by_default_with_a_table_and_the_next_command(bundle, capsys):
    assert mghft("trt", bundle.root, "--backend", "rtx", "--target", "sm86,sm120", "--branch", "fusion") == 0
    out = capsys.readouterr().out
    assert "3/3" in out
    folder = bundle.root / "engines" / "rtx-sm86-sm120-fp16"
    assert f"mghft-export inspect {folder / 'fusion.engine'}" in out.replace("\n", "")
    assert sorted(path.name for path in folder.iterdir()) == [
        "build.json",
        "fusion.engine",
        "fusion.layers.json",
    ]


def test_int8_graphs_are_made_where_the_bundle_has_none(tiny_bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    assert mghft("trt", root, "--int8", "--backend", "rtx", "--branch", "fusion", "--json") == 0
    captured = capsys.readouterr()
    info = json.loads(captured.out)
    assert info["precision"] == "int8-fp16"
    said = captured.err.replace("\n", " ")
    assert "made first, on the default calibration set, as the bundle was calibrated with none." in said
    made = load_bundle(root)
    assert made.manifest.quantization["int8-fp16"].calibration_set["name"] == "default"
    assert recorded_verification(made.manifest, "int8-fp16").stickers == 32
    assert "int8-fp16" in captured.err.split("made first")[1], "the comparison with fp32 is shown"
    attentions = info["engines"]["fusion"]["attentions"]
    assert attentions == {"fused": 3, "expected": 3, "missing": []}


@pytest.fixture
def own_int8(tiny_bundle, tmp_path, monkeypatch):
    """A bundle with INT8 for CPUs that somebody has calibrated with a set of their own, as nobody does by default."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    own_set = Path(shutil.copytree(default_calibration_set(), tmp_path / "mine"))
    whole = read_manifest(own_set)
    part = make_manifest(whole.stickers[:40], data_set="mine", seed=0, class_names=whole.class_names)
    write_manifest(own_set, part)
    return root, own_set


def add_own_int8(root, own_set, **recipe):
    options = PrecisionOptions(
        calibration=own_set, recipe=QuantizationRecipe(calibrator="max", **recipe), stickers=3
    )
    return add_precisions(load_bundle(root), ["int8"], options)


def test_int8_engines_have_the_ranges_of_the_bundles_own_int8(own_int8, capsys):
    """They had those of the default set, and nobody was told."""
    root, own_set = own_int8
    recipe = read_recipe(add_own_int8(root, own_set).root / "int8")
    assert mghft("trt", root, "--int8", "--backend", "rtx", "--dry-run") == 0
    assert "with the recipe and ranges of its int8 graphs; then: mghft-export trt" in one_line(capsys)
    assert mghft("trt", root, "--int8", "--backend", "rtx", "--branch", "fusion") == 0
    said = one_line(capsys)
    assert (
        "no int8-fp16 graphs yet; they are made first, with the recipe and ranges of its int8 graphs." in said
    )
    assert "calibration set mine, which the bundle was calibrated with: 32 stickers" in said
    made = load_bundle(root).manifest
    assert made.quantization["int8-fp16"].calibration_set == made.quantization["int8"].calibration_set
    assert read_recipe(root / "int8-fp16") == recipe
    assert recipe.calibration_set["name"] == "mine"
    assert recorded_verification(made, "int8-fp16") is not None


def test_a_recipe_that_needs_its_stickers_is_not_replayed_on_others(own_int8, capsys):
    root, own_set = own_int8
    add_own_int8(root, own_set, smooth=0.5)
    shutil.rmtree(own_set)
    assert mghft("trt", root, "--int8", "--backend", "rtx", "--branch", "fusion") == 2
    assert "and that is not there any more; export the bundle again with --precision int8-fp16" in one_line(
        capsys
    )


def one_line(capsys):
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_blocks_without_a_fused_attention_are_named(bundle, capsys):
    assert mghft("trt", bundle.root, "--backend", "rtx", "--branch", "fusion", "--batch", "1,1,1") == 0
    err = capsys.readouterr().err
    assert "attention is not fused in fusion: " in err
    assert "--batch 1,1,2" in err


def test_dry_run_shows_and_builds_nothing(bundle, capsys):
    arguments = ["trt", bundle.root, "--dry-run", "--backend", "rtx", "--batch", "1,1,2", "--batch", "1,8,32"]
    assert mghft(*arguments) == 0
    assert "rtx-portable-fp16" in capsys.readouterr().out.replace("\n", "")
    assert mghft(*arguments, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert [item["branch"] for item in values["branches"]] == ["vision", "text", "fusion"]
    assert values["branches"][0]["attentions"] == 8
    assert [shapes["image"][2][0] for shapes in values["branches"][0]["profiles"]] == [2, 32]
    assert engine_folders(bundle) == ()


def test_dry_run_prints_json_where_graphs_are_missing_too(tiny_bundle, capsys):
    arguments = ["trt", tiny_bundle, "--dry-run", "--backend", "rtx", "--int8", "--json"]
    assert mghft(*arguments) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["missing_precision"] == "int8-fp16"
    assert "trt" in values["command"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "sm90"], "does not build for sm90"),
        (["--target", "ada"], "sm86,sm89,sm120"),
        (["--target", ""], "sm86,sm89,sm120"),
        (["--workspace", ""], "512M"),
        (["--batch", "1,8,99999999999"], "--batch 1,8,99999999999 is too large"),
        (["--batch", "8,1"], "--batch 1,8,32"),
        (["--branch", "audio"], "no audio graph"),
        (["--workspace", "much"], "512M"),
        (["--version-compatible"], "only TensorRT can do this"),
        (["--hardware-compatible", "ampere+"], "only TensorRT can do this"),
    ],
)
def test_errors_are_one_sentence_and_status_2(full_bundle, arguments, words, capsys):
    assert mghft("trt", full_bundle.root, "--backend", "rtx", *arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert engine_folders(full_bundle) == ()


def test_the_command_in_build_json_works_from_anywhere(bundle, monkeypatch, capsys):
    monkeypatch.chdir(bundle.root.parent)
    assert mghft("trt", bundle.root.name, "--backend", "rtx", "--branch", "fusion", "--json") == 0
    assert json.loads(capsys.readouterr().out)["command"].split()[2] == str(bundle.root)


STOPPABLE = """
import signal
from mghft_export.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs tests in the background has it ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)
main()
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stopped_build_leaves_nothing_and_says_so(full_bundle, tmp_path, number):
    """`docker stop` sends SIGTERM, and a closed terminal SIGHUP: they left a folder with half an engine."""
    root = Path(shutil.copytree(full_bundle.root, tmp_path / "bundle"))
    command = [sys.executable, "-u", "-c", STOPPABLE]
    arguments = ["trt", str(root), "--fp32", "--backend", "rtx", "--level", "5"]
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for _ in range(600):
        if (root / "engines").exists():
            break
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, out + err
    assert "stopped" in err
    assert "Traceback" not in err
    assert not (root / "engines").exists()


def test_no_bundle(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert mghft("trt") == 2
    assert "mghft-bundle is not a bundle" in capsys.readouterr().err


class TestInspect:
    @pytest.fixture
    def engine(self, built_bundle):
        return engine_folders(built_bundle)[0] / "fusion.engine"

    def test_a_row_a_layer(self, engine, capsys):
        assert mghft("inspect", engine) == 0
        out = capsys.readouterr().out
        assert "_gemm_mha_v2" in out
        assert "3 of them fused attentions" in out

    def test_layers_are_found_by_their_onnx_nodes(self, engine, capsys):
        assert mghft("inspect", engine, "--name", "block.Softmax", "--json") == 0
        layers = json.loads(capsys.readouterr().out)
        assert len(layers) == 2
        assert all("mha" in layer["name"] and layer["milliseconds"] is None for layer in layers)

    def test_times_come_from_a_profile(self, engine, tmp_path, capsys):
        name = json.loads(engine.with_suffix(".layers.json").read_text())["layers"][5]["name"]
        profile = tmp_path / "profile.json"
        profile.write_text(json.dumps([{"count": 3}, {"name": name, "averageMs": 0.125}]))
        assert mghft("inspect", engine, "--profile", profile) == 0
        assert "0.125 ms" in capsys.readouterr().out
        profile.write_text(json.dumps([{"count": 3}, {"name": "of another engine", "averageMs": 1}]))
        assert mghft("inspect", engine, "--profile", profile) == 2
        assert "profile this engine" in capsys.readouterr().err

    def test_a_folder_is_not_an_engine(self, engine, capsys):
        assert mghft("inspect", engine.parent) == 2
        assert "fusion.engine" in capsys.readouterr().err


def test_what_the_command_builds_is_what_loading_takes(bundle, ada, capsys):
    assert mghft("trt", bundle.root, "--backend", "rtx", "--branch", "fusion") == 0
    assert load_engine_folder(engine_folders(bundle)[0], gpu=ada).engine("fusion").is_file()
