"""Rows of an ablation are plain runs with replaced images and texts, and images run once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mghft_export.bundle import load_bundle
from mghft_export.errors import DataError, StickerError
from mghft_export.evaluation.ablation import (
    ANOTHER,
    BLANK,
    MEAN,
    NOISE,
    OWN,
    ablate,
    replaced_logits,
    text_variants,
)
from mghft_export.evaluation.relevance import can_judge, cannot_judge
from mghft_export.evaluation.replacements import blank_image, noise_image, random_order, single_view
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.dataset import Sticker, load_dataset
from mghft_export.stickers.image import open_sticker

COUNT = 7


@pytest.fixture(scope="module")
def pipeline(tiny_bundle: Path) -> Pipeline:
    return Pipeline(load_bundle(tiny_bundle))


@pytest.fixture(scope="module")
def stickers(small_set: Path) -> tuple[Sticker, ...]:
    return load_dataset(small_set).split("test")[:COUNT]


def test_rows_are_those_of_plain_runs(pipeline: Pipeline, stickers: tuple[Sticker, ...]) -> None:
    entry = pipeline.inputs.image
    images = [open_sticker(item.image, background="white") for item in stickers]
    features = pipeline.encode_texts([item.text for item in stickers])
    order = list(random_order(COUNT, 5))
    another = [order[order.index(number) - 1] for number in range(COUNT)]
    mean = np.repeat(features.mean(axis=0, keepdims=True), COUNT, axis=0)
    noise = [noise_image(entry, 5, number) for number in range(COUNT)]
    gesture = pipeline.encode_texts([single_view(item.text, "gesture") or "" for item in stickers])
    by_hand = {
        (OWN, OWN): (images, features),
        (BLANK, OWN): ([blank_image(entry)] * COUNT, features),
        (ANOTHER, OWN): ([images[number] for number in another], features),
        (NOISE, OWN): (noise, features),
        (OWN, MEAN): (images, mean),
        (OWN, ANOTHER): (images, features[another]),
        (OWN, "gesture alone"): (images, gesture),
    }
    wanted = {
        key: pipeline.logits(pipeline.preprocess(pictures), texts)
        for key, (pictures, texts) in by_hand.items()
    }
    _, logits = replaced_logits(pipeline, stickers, batch=3, seed=5)
    for key, expected in wanted.items():
        np.testing.assert_allclose(logits[key], expected, atol=1e-5)
    own = wanted.pop((OWN, OWN))
    assert all(np.abs(expected - own).max() > 1e-3 for expected in wanted.values())


def test_rows_are_measures_of_the_logits(pipeline: Pipeline, stickers: tuple[Sticker, ...]) -> None:
    found = ablate(pipeline, stickers, seed=5)
    _, logits = replaced_logits(pipeline, stickers, batch=16, seed=5)
    labels = np.array([item.label for item in stickers])
    own = logits[OWN, OWN].argmax(axis=1)
    assert [(row.image, row.text) for row in found.rows] == list(logits)
    assert len(found.rows) == 10
    assert any(row.same_class < 1 for row in found.rows)
    for row in found.rows:
        classes = logits[row.image, row.text].argmax(axis=1)
        assert row.accuracy == pytest.approx((classes == labels).mean())
        assert row.same_class == pytest.approx((classes == own).mean())
        assert row.intervals is not None


def test_each_image_runs_once(
    pipeline: Pipeline, stickers: tuple[Sticker, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []
    run = pipeline.vision.run
    monkeypatch.setattr(pipeline.vision, "run", lambda feeds: ran.append(len(feeds["image"])) or run(feeds))
    ablate(pipeline, stickers, batch=4)
    # Own and noise, the blank one, and once more the one whose neighbour comes first.
    assert sum(ran) == 2 * COUNT + 2


@pytest.mark.parametrize("count", [2, 3, 50])
def test_nobody_is_his_own_other(count: int) -> None:
    order = random_order(count, 1)
    assert sorted(order) == list(range(count))
    assert (np.roll(order, 1) != order).all()


def test_single_views_are_cut_out_and_missing_ones_left_out(pipeline: Pipeline) -> None:
    text = "#The sticker's style: a sketch #The sticker's gesture: it waves"
    assert single_view(text, "style") == "#The sticker's style: a sketch"
    assert single_view(text, "intention") is None
    with pytest.raises(StickerError, match="empty"):
        single_view(" ", "style")
    variants = {item.name: item for item in text_variants(pipeline, [text, "a face"], np.array([1, 0]))}
    assert set(variants) == {OWN, MEAN, ANOTHER, "style alone", "gesture alone"}
    assert variants["style alone"].has.tolist() == [True, False]
    np.testing.assert_allclose(
        variants["style alone"].features[:1],
        pipeline.encode_texts(["#The sticker's style: a sketch"]),
        atol=1e-5,
    )


def test_stickers_that_cannot_be_used_stop_or_are_left_out(
    pipeline: Pipeline, stickers: tuple[Sticker, ...], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(stickers[0].image.read_bytes()[:200])
    some = [*stickers[:3], Sticker(damaged, "a face", 0, "")]
    with pytest.raises(StickerError, match="damaged"):
        ablate(pipeline, some)
    found = ablate(pipeline, some, skip_bad=True)
    assert (len(found.stickers), len(found.skipped)) == (3, 1)
    with pytest.raises(DataError, match="two stickers"):
        ablate(pipeline, stickers[:1])


@pytest.mark.parametrize(
    ("same_class", "min_agreement", "judges"),
    [
        (0.955, 0.985, False),  # a branch of noise costs 4.5 %, three times what the budget lets go
        (0.851, 0.985, False),
        (0.85, 0.985, True),
        (0.955, 0.995, False),
        (0.94, 0.995, True),
        (1.0, 1.0, False),
        (0.99, 1.0, True),
        (0.1, 0.0, False),  # a budget that lets everything go judges nothing
    ],
)
def test_classes_judge_a_branch_that_they_depend_on(
    same_class: float, min_agreement: float, judges: bool
) -> None:
    assert can_judge(same_class, min_agreement) is judges


def test_what_is_said_of_the_others() -> None:
    assert cannot_judge("vision", 0.955) == (
        "with blank images 96% of the classes stay: they cannot judge the vision branch"
    )
