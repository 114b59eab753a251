"""`mghft-export trt` and `mghft-export inspect`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mghft_export.bundle import load_bundle
from mghft_export.cli.main import cli, run
from mghft_export.engines.loading import engine_folders, load_engine_folder

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
    assert "made first" in captured.err
    made = load_bundle(root)
    assert made.manifest.quantization["int8-fp16"].calibration_set["name"] == "default"
    attentions = info["engines"]["fusion"]["attentions"]
    assert attentions == {"fused": 3, "expected": 3, "missing": []}


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
