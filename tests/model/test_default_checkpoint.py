"""mghft-mini, the trained model that comes with the package."""

from __future__ import annotations

from mghft_export.bundle import load_bundle
from mghft_export.model.default_checkpoint import default_checkpoint_path
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.dataset import load_dataset
from mghft_export.stickers.image import open_sticker


def test_it_is_small():
    assert default_checkpoint_path().stat().st_size < 16e6


def test_without_arguments_it_is_exported_and_predicts_what_the_demo_shows(small_set, default_bundle):
    bundle = load_bundle(default_bundle)
    assert bundle.manifest.trained
    shown = {"1F92C", "1FAB3", "2620", "1F638", "1F916", "1F629", "1F6F8"}
    dataset = load_dataset(small_set)
    stickers = [item for item in dataset.split("test") if item.image.stem in shown]
    assert len(stickers) == len(shown)
    images = [open_sticker(item.image, background="white") for item in stickers]
    for precision in ("fp32", "int8"):
        pipeline = Pipeline(bundle, precision=precision)
        found = pipeline.predict(images, pipeline.encode_texts([item.text for item in stickers]))
        assert [item.label for item in found] == [dataset.class_names[item.label] for item in stickers]
