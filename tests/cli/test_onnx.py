"""`mghft-export onnx` and the main group: arguments, errors, and one real export from a checkpoint file."""

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from mghft_export.bundle import load_bundle  # noqa: E402
from mghft_export.cli.main import COMMANDS, cli, run  # noqa: E402
from mghft_export.files.hashing import sha256  # noqa: E402
from mghft_export.model.checkpoint import save_checkpoint  # noqa: E402

NAMES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


def test_checkpoint_to_verified_bundle(tiny_model, small_set, tmp_path, capsys):
    checkpoint = tmp_path / "tiny.safetensors"
    save_checkpoint(checkpoint, tiny_model, NAMES)
    output = tmp_path / "bundle"
    arguments = [
        "onnx",
        checkpoint,
        "-o",
        output,
        "--views",
        "separate",
        "--pooling",
        "masked",
        "--single-file",
    ]
    assert run(cli, [str(item) for item in [*arguments, "--data", small_set]]) == 0
    out = capsys.readouterr().out
    assert "ONNX Runtime against PyTorch as released" in out
    assert "mghft-export predict" in out
    manifest = load_bundle(output).manifest
    assert manifest.trained
    assert manifest.checkpoint.sha256 == sha256(checkpoint)
    assert manifest.class_names == NAMES
    assert (manifest.text.views, manifest.text.pooling) == ("separate", "masked")
    assert set(manifest.precisions["fp32"]) == {"vision", "text", "fusion", "mghft"}
    assert manifest.verification["fp32"]["passed"]
    assert manifest.verification["fp32"]["stickers"].endswith("stickers-small (test)")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.pth"], "there is no checkpoint"),
        (["--random-weights"], "--arch"),
        (["--arch", "paper", "--random-weights", "--image-size", "100"], "multiples of 32"),
        (["--arch", "paper", "--random-weights", "--data", "nowhere"], "nowhere"),
    ],
)
def test_errors_are_one_sentence_and_status_2(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(cli, ["onnx", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_image_size_must_be_one_or_two_numbers(capsys):
    assert run(cli, ["onnx", "--image-size", "big"]) == 2
    assert "256x384" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "-3", "most", "1.5"])
def test_calibration_stickers_are_a_number_or_all(count, capsys):
    assert run(cli, ["onnx", "--calibration-stickers", count]) == 2
    assert "a number from 1, or all" in " ".join(capsys.readouterr().err.replace("│", "").split())


def test_json_is_the_manifest(tiny_bundle):
    """What `--json` prints is what the bundle holds: one schema for programs."""
    manifest = load_bundle(tiny_bundle).manifest
    assert json.loads(manifest.model_dump_json()) == json.loads((tiny_bundle / "manifest.json").read_text())


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name, capsys):
    assert run(cli, [name, "--help"]) == 0
    assert "Usage:" in capsys.readouterr().out


def test_unknown_command(capsys):
    assert run(cli, ["trian"]) == 2
    assert "No such command" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [["--data"], ["--calibration-stickers", "2"], ["--calibration-stickers", "all"], ["--no-verify"]],
)
def test_new_precisions_are_verified_unless_told_not_to(
    options, tiny_bundle, tiny_model, small_set, tmp_path, monkeypatch, capsys
):
    """The graphs are copied instead of traced."""

    def copied(source, output, options, on_step):
        return load_bundle(Path(shutil.copytree(tiny_bundle, output))), None

    monkeypatch.setattr("mghft_export.api.export.export_bundle", copied)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    checkpoint, calibration = tmp_path / "tiny.safetensors", tmp_path / "set"
    save_checkpoint(checkpoint, tiny_model, NAMES)
    assert run(cli, ["calibrate", "--data", str(small_set), "--size", "5", "-o", str(calibration)]) == 0
    output = tmp_path / "bundle"
    arguments = [checkpoint, "-o", output, "--precision", "fp16", "--calibration", calibration]
    data = [small_set] if options == ["--data"] else []
    assert run(cli, ["onnx", *(str(item) for item in [*arguments, *options, *data])]) == 0
    out, err = capsys.readouterr()
    assert "looking for values too large for FP16 in vision and fusion" in err
    found = load_bundle(output).manifest.verification
    assert load_bundle(output).manifest.magnitudes["stickers"] == (2 if options[1:] == ["2"] else 5)
    if options == ["--no-verify"]:
        assert found is None
        assert "Against fp32" not in out
        return
    own = "calibration set set, which the bundle was calibrated with: 5 stickers"
    where = "stickers-small, test split: 24 stickers" if data else own
    assert f"Against fp32 on the CPU; {where}" in out
    assert found["fp16"].data == where
    assert (found["fp16"].remark is None) == bool(data)


def test_int8_makes_both_its_forms(tiny_bundle, tiny_model, tmp_path, monkeypatch):
    """One for CPUs and one for GPUs, with the same ranges; before, engines got ranges of their own."""

    def copied(source, output, options, on_step):
        return load_bundle(Path(shutil.copytree(tiny_bundle, output))), None

    monkeypatch.setattr("mghft_export.api.export.export_bundle", copied)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_checkpoint(tmp_path / "tiny.safetensors", tiny_model, NAMES)
    output = tmp_path / "bundle"
    arguments = [tmp_path / "tiny.safetensors", "-o", output, "--precision", "int8", "--no-verify"]
    assert run(cli, ["onnx", *map(str, arguments), "--calibration-stickers", "2"]) == 0
    assert set(load_bundle(output).manifest.precisions) == {"fp32", "int8", "int8-fp16"}
    recipes = [(output / precision / "recipe.json").read_bytes() for precision in ("int8", "int8-fp16")]
    assert recipes[0] == recipes[1]
