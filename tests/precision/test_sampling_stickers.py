"""A sample has the data set's proportions, is the same for the same seed, and holds nothing of val or test."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from precision.coloured_data import coloured_dataset

from mghft_export.errors import DataError
from mghft_export.precision.calibration.sampling import Cell, allot, sample_stickers, source_path
from mghft_export.stickers.dataset import load_dataset


def test_shares_are_proportional_with_one_at_least() -> None:
    cells: dict[Cell, int] = {(0, "a"): 60, (0, "b"): 30, (1, "a"): 9, (1, "b"): 1}
    assert allot(cells, 20) == {(0, "a"): 12, (0, "b"): 6, (1, "a"): 1, (1, "b"): 1}


def test_small_class_of_many_topics_has_them_all_where_the_size_allows() -> None:
    cells: dict[Cell, int] = {(0, "big"): 1000} | {(1, f"topic {n}"): 1 for n in range(9)}
    assert allot(cells, 10) == dict.fromkeys(cells, 1)
    assert allot(cells, 20) == dict.fromkeys(cells, 1) | {(0, "big"): 11}


def test_more_cells_than_size_gives_every_class_its_share_over_different_topics() -> None:
    cells: dict[Cell, int] = {(label, f"topic {n}"): (3, 1)[label] for label in (0, 1) for n in range(100)}
    shares = allot(cells, 40)
    assert max(shares.values()) == 1
    assert Counter(label for (label, _), share in shares.items() if share) == {0: 30, 1: 10}


def test_rare_class_stays_in_a_tiny_sample() -> None:
    shares = allot({(0, "a"): 5000, (1, "a"): 4000, (2, "a"): 1}, 3)
    assert shares == {(0, "a"): 1, (1, "a"): 1, (2, "a"): 1}


def test_shares_of_any_cells_fill_the_size_and_empty_no_cell_without_need() -> None:
    chance = random.Random(0)
    for _ in range(300):
        labels, topics = chance.randint(1, 7), chance.randint(1, 9)
        all_cells = [(label, str(topic)) for label in range(labels) for topic in range(topics)]
        cells = {cell: chance.randint(1, 40) for cell in all_cells if chance.random() < 0.7} or {(0, ""): 3}
        size = chance.randint(1, 200)
        shares = allot(cells, size)
        assert shares.keys() == cells.keys()
        assert sum(shares.values()) == min(size, sum(cells.values()))
        assert all(0 <= shares[cell] <= cells[cell] for cell in cells)
        assert size < len(cells) or min(shares.values()) >= 1
        served = {label for (label, _), share in shares.items() if share}
        assert len(served) == min(size, len({label for label, _ in cells}))


def test_sample_has_each_class_and_style_of_the_small_set_once(small_set: Path) -> None:
    sample = sample_stickers(load_dataset(small_set), 28)
    assert set(Counter((item.label, item.topic) for item in sample.stickers).values()) == {1}
    assert set(sample.stickers) == set(load_dataset(small_set).split("train"))


def test_seed_decides_and_the_place_and_order_of_rows_do_not(small_set: Path, tmp_path: Path) -> None:
    def names(root: Path, seed: int) -> list[str]:
        sample = sample_stickers(load_dataset(root), 10, seed=seed)
        return [source_path(sticker, root) for sticker in sample.stickers]

    copy = tmp_path / "copy"
    shutil.copytree(small_set, copy)
    file = copy / "Annotations_mg" / "image-level" / "train.json"
    rows = json.loads(file.read_text("utf-8"))["annotations"]
    file.write_text(json.dumps({"annotations": rows[::-1]}), "utf-8")
    assert names(small_set, 0) == names(copy, 0)
    assert names(small_set, 0) != names(small_set, 1)


def test_nothing_but_train_is_drawn(small_set: Path) -> None:
    dataset = load_dataset(small_set)
    sample = sample_stickers(dataset, 1000)
    assert set(sample.stickers) == set(dataset.split("train"))
    assert (sample.asked, len(sample.stickers)) == (1000, 28)


def test_topics_restrict_the_sample(small_set: Path) -> None:
    sample = sample_stickers(load_dataset(small_set), 8, topics=("noto", "twemoji"))
    assert {sticker.topic for sticker in sample.stickers} == {"noto", "twemoji"}
    with pytest.raises(DataError, match=r"no topic 'openmoji'; choose from fluent_3d"):
        sample_stickers(load_dataset(small_set), 8, topics=("openmoji",))


@pytest.mark.parametrize("split", ["val", "test"])
def test_copy_of_a_held_out_image_is_refused_or_left_out(tmp_path: Path, split: str) -> None:
    dataset = coloured_dataset(
        tmp_path,
        {
            "train": [("a.png", "joy", ""), ("b.png", "joy", ""), ("twin.png", "joy", "")],
            split: [("c.png", "joy", "")],
        },
    )
    shutil.copy(dataset.root / "c.png", dataset.root / "twin.png")
    with pytest.raises(DataError, match=rf"twin\.png of train is .*c\.png of {split} as well.*--skip-bad"):
        sample_stickers(dataset, 3)
    sample = sample_stickers(dataset, 3, skip_bad=True)
    assert {sticker.image.name for sticker in sample.stickers} == {"a.png", "b.png"}
    assert len(sample.left_out) == 1


def test_converted_sticker_of_the_same_topic_and_name_is_refused(tmp_path: Path) -> None:
    dataset = coloured_dataset(
        tmp_path, {"train": [("new/1.png", "joy", "cats")], "test": [("old/1.png", "joy", "cats")]}
    )
    with pytest.raises(DataError, match=r"new/1\.png of train is .*old/1\.png of test as well"):
        sample_stickers(dataset, 1)


def test_same_name_without_a_topic_or_in_another_is_another_sticker(tmp_path: Path) -> None:
    dataset = coloured_dataset(
        tmp_path,
        {
            "train": [("train/1.png", "joy", ""), ("train/2.png", "joy", "cats")],
            "test": [("test/1.png", "joy", ""), ("test/2.png", "joy", "dogs")],
        },
    )
    assert len(sample_stickers(dataset, 2).stickers) == 2


def test_another_sticker_is_drawn_for_one_that_is_left_out(tmp_path: Path) -> None:
    dataset = coloured_dataset(tmp_path, {"train": [(f"{number}.png", "joy", "") for number in range(20)]})
    first = sample_stickers(dataset, 5)
    first.stickers[0].image.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot be read as an image.*--skip-bad"):
        sample_stickers(dataset, 5)
    second = sample_stickers(dataset, 5, skip_bad=True)
    assert len(second.stickers) == 5
    assert set(first.stickers) - set(second.stickers) == {first.stickers[0]}


def test_unusable_train_splits_are_named(tmp_path: Path, small_set: Path) -> None:
    with pytest.raises(DataError, match="ask for one or more with --size"):
        sample_stickers(load_dataset(small_set), 0)
    dataset = coloured_dataset(tmp_path, {"data": [("a.png", "joy", "")]})
    with pytest.raises(DataError, match="no train split"):
        sample_stickers(dataset, 1)


def test_data_set_without_a_usable_sticker_is_refused(tmp_path: Path) -> None:
    dataset = coloured_dataset(tmp_path, {"train": [("a.png", "joy", ""), ("b.png", "joy", "")]})
    for sticker in dataset.split("train"):
        sticker.image.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"no sticker of .* can be used"):
        sample_stickers(dataset, 1, skip_bad=True)


def test_sticker_without_a_text_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "Images" / "cats"
    folder.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / "a.png")
    file = tmp_path / "Annotations" / "image-level" / "train.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"annotations": [{"topic": "cats", "file_name": "a.png", "anno": 1}]}))
    with pytest.raises(DataError, match=r"a\.png has no text; take annotations with texts"):
        sample_stickers(load_dataset(tmp_path), 1)
