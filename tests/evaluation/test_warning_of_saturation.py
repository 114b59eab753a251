"""A bundle from before INT8 weights were limited is told so where it runs wrongly, and only there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from mghft_export.bundle import Bundle, load_bundle
from mghft_export.cli import output as warnings
from mghft_export.cli.predict import predict
from mghft_export.evaluation.verification.precision_warning import saturation_warning

AVX2, VNNI = frozenset({"avx2"}), frozenset({"avx2", "avx512_vnni"})


@pytest.fixture
def made_now(quantised_tiny_bundle: Path) -> Bundle:
    return load_bundle(quantised_tiny_bundle)


@pytest.fixture
def made_before(quantised_tiny_bundle: Path, tmp_path: Path) -> Bundle:
    """The manifest as it was: it says nothing of sums."""
    root = Path(shutil.copytree(quantised_tiny_bundle, tmp_path / "before"))
    manifest = json.loads((root / "manifest.json").read_text())
    for entry in manifest["quantization"].values():
        del entry["sums_in_16_bits"]
    (root / "manifest.json").write_text(json.dumps(manifest))
    return load_bundle(root)


def test_the_warning_is_of_int8_on_x86_without_vnni(made_before: Bundle) -> None:
    manifest = made_before.manifest
    sentence = saturation_warning(manifest, "int8", AVX2, "x86_64")
    assert sentence is not None
    assert "mghft-export onnx --precision int8" in sentence
    assert "\n" not in sentence
    assert saturation_warning(manifest, "int8", VNNI, "x86_64") is None
    assert saturation_warning(manifest, "int8", frozenset({"avx_vnni"}), "AMD64") is None
    assert saturation_warning(manifest, "int8", frozenset({"asimd"}), "aarch64") is None
    assert saturation_warning(manifest, "fp16", AVX2, "x86_64") is None
    assert saturation_warning(manifest, "fp32", AVX2, "x86_64") is None


def test_a_bundle_of_now_is_not_warned_of(made_now: Bundle) -> None:
    assert made_now.manifest.quantization["int8"].sums_in_16_bits
    assert saturation_warning(made_now.manifest, "int8", AVX2, "x86_64") is None


def test_predict_says_it_and_goes_on(
    made_before: Bundle, small_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warnings, "cpu_flags", lambda: AVX2)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    image = next(small_set.glob("Images/*/*.png"))
    arguments = [str(made_before.root), str(image), "--text", "a face", "--precision", "int8", "--json"]
    done = CliRunner().invoke(predict, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "no VNNI" in done.stderr
    assert "label" in done.stdout
