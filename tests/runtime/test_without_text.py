"""Stickers without text, for models that have learned features for them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from goldens.model import formula_model
from PIL import Image

from mghft_export.bundle import load_bundle
from mghft_export.cli.main import cli, run
from mghft_export.config import MGHFTConfig
from mghft_export.errors import BundleError, StickerError
from mghft_export.evaluation.ablation import ablate
from mghft_export.exporting.export_bundle import ExportOptions, Source, export_bundle
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.dataset import load_dataset

SEVEN = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


@pytest.fixture
def sticker(small_set: Path) -> Path:
    return small_set / "Images" / "noto" / "2620.png"


def test_an_exported_model_gives_its_own_logits_without_texts(
    tiny_config: MGHFTConfig, sticker: Path, tmp_path: Path
) -> None:
    model = formula_model(tiny_config.replace(no_text=True)).eval()
    assert model.no_text is not None
    with torch.no_grad():
        model.no_text.copy_(torch.linspace(-1, 1, model.no_text.numel()).view_as(model.no_text))
    bundle, _ = export_bundle(
        Source(model, SEVEN, "formula", None, trained=False), tmp_path / "bundle", ExportOptions()
    )
    pipeline = Pipeline(bundle)
    pixels = pipeline.preprocess([Image.open(sticker).convert("RGB")])
    with torch.no_grad():
        expected = model(torch.from_numpy(pixels)).logits.numpy()
    assert np.allclose(pipeline.logits(pixels, [""]), expected, atol=2e-3)
    assert not np.allclose(pipeline.logits(pixels, ["a cat"]), expected, atol=2e-2)


def test_texts_and_their_absence_share_a_batch(no_text_bundle: Path) -> None:
    pipeline = Pipeline(load_bundle(no_text_bundle))
    mixed = pipeline.encode_texts(["a cat", " ", "a dog", ""])
    assert np.array_equal(mixed[[1, 3]], np.stack([pipeline.inputs.no_text] * 2))
    assert np.array_equal(mixed[[0, 2]], pipeline.encode_texts(["a cat", "a dog"]))


def test_other_models_say_what_to_do(
    tiny_bundle: Path, sticker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StickerError, match="was not trained to do without; describe the sticker"):
        Pipeline(load_bundle(tiny_bundle)).encode_texts(["a cat", ""])
    assert run(cli, ["predict", str(tiny_bundle), str(sticker)]) == 2
    assert "give it with --text or --text-file" in capsys.readouterr().err


def test_predict_says_that_it_judges_the_image_alone(
    no_text_bundle: Path, sticker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict", str(no_text_bundle), str(sticker), "--json"]
    assert run(cli, command) == 0
    alone = capsys.readouterr()
    assert "the image alone is judged" in alone.err
    assert run(cli, [*command, "--text", "a cat"]) == 0
    with_text = capsys.readouterr()
    assert "alone" not in with_text.err
    one, other = (json.loads(item.out)["probabilities"] for item in (alone, with_text))
    assert one != other


def test_a_changed_file_of_features_is_refused(no_text_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(no_text_bundle, tmp_path / "bundle")
    path = tmp_path / "bundle" / "no_text.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BundleError, match="was changed after the export"):
        Pipeline(load_bundle(tmp_path / "bundle"))
    path.unlink()
    with pytest.raises(BundleError, match="missing from the bundle"):
        load_bundle(tmp_path / "bundle")


def test_the_ablation_has_a_row_without_texts(
    no_text_bundle: Path, tiny_bundle: Path, small_set: Path
) -> None:
    stickers = load_dataset(small_set).split("val")
    found = ablate(Pipeline(load_bundle(no_text_bundle)), stickers)
    assert [row.image for row in found.rows if row.text == "none"] == ["own"]
    others = ablate(Pipeline(load_bundle(tiny_bundle)), stickers)
    assert len(others.rows) == len(found.rows) - 1
