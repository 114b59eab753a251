"""mghft-mini, the trained model that comes with the package."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mghft_export.bundle import load_bundle
from mghft_export.model.checkpoint_choice import default_checkpoint_path
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.dataset import load_dataset
from mghft_export.stickers.image import open_sticker


def test_it_is_small():
    assert default_checkpoint_path().stat().st_size < 16e6


@pytest.fixture
def shown(small_set: Path) -> tuple[list[Image.Image], list[str], list[str]]:
    """Images, texts and classes of the stickers that the demo shows."""
    dataset = load_dataset(small_set)
    stickers = {f"{item.topic}/{item.image.name}": item for item in dataset.split("test")}
    chosen = [stickers[name] for name in demo("DEMO")]
    assert len(chosen) == 8
    return (
        [open_sticker(item.image, background="white") for item in chosen],
        [item.text for item in chosen],
        [dataset.class_names[item.label] for item in chosen],
    )


def demo(variable: str) -> list[str]:
    """The names of stickers in a variable of the Makefile."""
    lines = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith(f"{variable} := ")).partition(" := ")[2].split()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_it_predicts_what_the_demo_shows_with_and_without_texts(
    shown: tuple[list[Image.Image], list[str], list[str]], default_bundle: Path, precision: str
) -> None:
    bundle = load_bundle(default_bundle)
    assert bundle.manifest.trained
    images, texts, labels = shown
    pipeline = Pipeline(bundle, precision=precision)
    assert [item.label for item in pipeline.predict(images, texts)] == labels
    alone = [number for number, name in enumerate(demo("DEMO")) if name in demo("DEMO_PICTURES")]
    found = pipeline.predict([images[number] for number in alone], [""] * len(alone))
    assert [item.label for item in found] == [labels[number] for number in alone]
    assert len({item.label for item in found}) == 5


def test_the_picture_decides(
    shown: tuple[list[Image.Image], list[str], list[str]], default_bundle: Path
) -> None:
    """With its text as it is, the demo's first sticker has another class if its picture is blank."""
    images, texts, labels = shown
    pipeline = Pipeline(load_bundle(default_bundle))
    blank = Image.new("RGB", images[0].size, "white")
    assert pipeline.predict([images[0]], [texts[0]])[0].label == labels[0]
    assert pipeline.predict([blank], [texts[0]])[0].label != labels[0]
