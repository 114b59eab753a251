"""`mghft-export onnx` and the main group: arguments, errors, and one real export from a checkpoint file."""

import json

import pytest

torch = pytest.importorskip("torch")

from mghft_export.bundle import load_bundle  # noqa: E402
from mghft_export.cli.main import COMMANDS, cli, run  # noqa: E402
from mghft_export.hashing import sha256  # noqa: E402
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
    assert run(cli, [str(item) for item in [*arguments, "--stickers", small_set]]) == 0
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
        (["--arch", "paper", "--random-weights", "--stickers", "nowhere"], "nowhere"),
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
