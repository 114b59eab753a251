"""What is evaluated: the right stickers, in the model's own classes, and only those that can be used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mghft_export.errors import DataError, MGHFTError, StickerError
from mghft_export.evaluation.predictions import predict_stickers
from mghft_export.evaluation.predictors import Predictor
from mghft_export.stickers.dataset import Sticker, StickerSet
from mghft_export.stickers.sticker_choice import (
    bootstrap_groups,
    choose_split,
    choose_stickers,
    require_same_classes,
)

CLASSES = ("anger", "fear", "joy")


def red_is_class(images: Sequence[Image.Image], texts: Sequence[str]) -> np.ndarray:
    """Logits of a predictor whose class is how red the sticker is, in hundreds."""
    reds = [image.getpixel((0, 0))[0] // 100 for image in images]  # type: ignore[index]
    return np.eye(3, dtype=np.float32)[reds]


def predictor(logits=red_is_class) -> Predictor:  # type: ignore[no-untyped-def]
    return Predictor("toy", CLASSES, True, "white", logits)


@pytest.fixture
def stickers(tmp_path: Path) -> list[Sticker]:
    found = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 8), (number % 3 * 100, 0, 0)).save(path)
        found.append(Sticker(path, "words", number % 3, "even" if number % 2 == 0 else "odd"))
    return found


def sticker_set(stickers: Sequence[Sticker], split: str = "test") -> StickerSet:
    return StickerSet(Path("set"), "folder", {split: tuple(stickers)}, CLASSES, ())


def test_test_split_is_the_default_and_else_the_whole(stickers: list[Sticker]) -> None:
    assert choose_split(sticker_set(stickers)) == "test"
    assert choose_split(sticker_set(stickers, "all")) == "all"
    with pytest.raises(DataError, match="no split 'val'"):
        choose_split(sticker_set(stickers), "val")


def test_topics_restrict_the_stickers(stickers: list[Sticker]) -> None:
    assert choose_stickers(sticker_set(stickers), "test", ["odd"]) == (stickers[1], stickers[3])
    with pytest.raises(DataError, match="no topic 'prime'; choose from even, odd"):
        choose_stickers(sticker_set(stickers), "test", ["prime"])


def test_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match="no sticker in its test split"):
        choose_stickers(sticker_set([]), "test")


def test_first_class_that_differs_is_named() -> None:
    with pytest.raises(DataError, match="class 2 is 'joy' for the model and 'fear' in the data set"):
        require_same_classes(("anger", "joy", "fear"), CLASSES)
    with pytest.raises(DataError, match="2 classes, the data set 3"):
        require_same_classes(("anger", "fear"), CLASSES)


def test_numbered_classes_only_need_the_same_count() -> None:
    require_same_classes(("class 1", "class 2", "class 3"), CLASSES)
    require_same_classes(("Anger", "FEAR", "joy"), CLASSES)
    with pytest.raises(DataError, match="2 classes"):
        require_same_classes(("class 1", "class 2"), CLASSES)


def test_groups_of_the_bootstrap(stickers: list[Sticker]) -> None:
    assert bootstrap_groups(stickers, "sticker") is None
    assert bootstrap_groups(stickers, "stem") == ["0", "1", "2", "3", "4"]
    assert bootstrap_groups(stickers, "topic") == ["even", "odd", "even", "odd", "even"]


@pytest.mark.parametrize("batch", [1, 2, 5, 16])
def test_predictions_keep_the_order_in_any_batch(stickers: list[Sticker], batch: int) -> None:
    done: list[int] = []
    predictions = predict_stickers(predictor(), stickers, batch=batch, on_batch=done.append)
    assert predictions.stickers == tuple(stickers)
    assert predictions.predicted.tolist() == predictions.labels.tolist() == [0, 1, 2, 0, 1]
    assert sum(done) == predictions.throughput.stickers == 5
    assert 0 < predictions.throughput.with_decoding < predictions.throughput.without_decoding


def test_damaged_image_stops_or_is_skipped(stickers: list[Sticker]) -> None:
    stickers[0].image.write_bytes(b"no image")
    with pytest.raises(StickerError, match=r"0\.png"):
        predict_stickers(predictor(), stickers)
    predictions = predict_stickers(predictor(), stickers, batch=1, skip_bad=True)
    assert predictions.stickers == tuple(stickers[1:])
    assert len(predictions.skipped) == 1


def test_sticker_without_text_stops_or_is_skipped(stickers: list[Sticker]) -> None:
    silent = [Sticker(sticker.image, "", sticker.label, "") for sticker in stickers]
    with pytest.raises(StickerError, match=r"0\.png has no text"):
        predict_stickers(predictor(), silent)
    with pytest.raises(DataError, match="no sticker is left"):
        predict_stickers(predictor(), silent, skip_bad=True)


def test_logits_that_are_not_finite_are_refused(stickers: list[Sticker]) -> None:
    def overflowing(images: Sequence[Image.Image], texts: Sequence[str]) -> np.ndarray:
        return np.where(red_is_class(images, texts)[:, 1:2] > 0, np.nan, 1) * np.ones((1, 3), np.float32)

    with pytest.raises(MGHFTError, match=r"not finite for 2 of 5 stickers \(first: .*1\.png\)"):
        predict_stickers(predictor(overflowing), stickers)
