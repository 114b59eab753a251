"""`mghft-run` and Python: the same logits of every sticker of the small set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cpp.conftest import call
from cpp.stickers import cpp_rows, small_set_stickers

from mghft_export.bundle import load_bundle
from mghft_export.bundle.text_features import load_features
from mghft_export.cli.main import cli, run
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.image import open_sticker

BATCH = 8
"""Of `mghft-run predict`; texts are padded to the longest of a batch, which moves last digits."""


@pytest.fixture(scope="module")
def stickers(small_set: Path) -> list[tuple[Path, str]]:
    return small_set_stickers(small_set)


def python_logits(bundle: Path, stickers, features=None, precision="fp32") -> np.ndarray:
    pipeline = Pipeline(load_bundle(bundle), precision=precision)
    rows = []
    for start in range(0, len(stickers), BATCH):
        part = slice(start, start + BATCH)
        pixels = pipeline.preprocess([open_sticker(image) for image, _ in stickers[part]])
        texts = [text for _, text in stickers[part]] if features is None else features[part]
        rows.append(pipeline.logits(pixels, texts))
    return np.concatenate(rows)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_logits_are_pythons(programs, quantised_tiny_bundle, stickers, precision):
    texts = [word for _, text in stickers for word in ("--text", text)]
    rows = cpp_rows(programs, quantised_tiny_bundle, stickers, *texts, "--precision", precision)
    expected = python_logits(quantised_tiny_bundle, stickers, precision=precision)
    assert [row["image"] for row in rows] == [str(image) for image, _ in stickers]
    np.testing.assert_allclose([row["logits"] for row in rows], expected, rtol=0, atol=1e-4)
    assert expected.std(axis=0).min() > 1e-3  # logits that are all alike would be equal whatever was read
    names = load_bundle(quantised_tiny_bundle).manifest.class_names
    assert [row["label"] for row in rows] == [names[index] for index in expected.argmax(axis=1)]
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_overlap_and_threads_change_nothing(programs, tiny_bundle, stickers):
    some = stickers[:11]
    texts = [word for _, text in some for word in ("--text", text)]
    plain = cpp_rows(programs, tiny_bundle, some, *texts)
    other = cpp_rows(programs, tiny_bundle, some, *texts, "--overlap", "on", "--threads", 1)
    np.testing.assert_allclose([r["logits"] for r in plain], [r["logits"] for r in other], rtol=0, atol=1e-5)


def test_text_features_of_encode_text_are_read(programs, tiny_bundle, stickers, tmp_path):
    some = stickers[:9]
    lines = [json.dumps({"image": image.name, "text": text}) for image, text in some]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    features = tmp_path / "texts.npz"
    command = ["encode-text", tiny_bundle, "--text-file", tmp_path / "texts.jsonl", "-o", features]
    assert run(cli, [str(word) for word in command]) == 0
    rows = cpp_rows(programs, tiny_bundle, some, "--text-features", features)
    saved = load_features(features, load_bundle(tiny_bundle))
    by_name = dict(zip(saved.names, saved.features, strict=True))
    expected = python_logits(tiny_bundle, some, np.stack([by_name[image.name] for image, _ in some]))
    np.testing.assert_allclose([row["logits"] for row in rows], expected, rtol=0, atol=1e-4)


def test_a_text_file_gives_each_image_its_text(programs, tiny_bundle, stickers, tmp_path):
    some = stickers[:3]
    annotations = {"annotations": [{"file_name": image.name, "text": text} for image, text in some]}
    (tmp_path / "texts.json").write_text(json.dumps(annotations))
    rows = cpp_rows(programs, tiny_bundle, some, "--text-file", tmp_path / "texts.json")
    np.testing.assert_allclose(
        [row["logits"] for row in rows], python_logits(tiny_bundle, some), rtol=0, atol=1e-4
    )


def test_nothing_is_allocated_on_the_hot_path(programs, tiny_bundle, stickers):
    found = call(programs.allocations, tiny_bundle, stickers[0][0])
    assert found.stdout.count(": 0 allocations after warm-up") == 2
