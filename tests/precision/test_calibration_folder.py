"""A calibration set is written whole, and each kind of damage to it has its sentence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from precision.coloured_data import coloured_dataset

from mghft_export.bundle.calibration_manifest import set_hash
from mghft_export.errors import DataError
from mghft_export.files.hashing import sha256
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.held_out import check_not_held_out
from mghft_export.precision.calibration.sampling import sample_stickers
from mghft_export.precision.calibration.write_set import write_calibration_set
from mghft_export.stickers.dataset import load_dataset

CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


@pytest.fixture
def sampled(small_set: Path, tmp_path: Path) -> Path:
    """Twelve stickers of the small set's train split; a test may change them."""
    sample = sample_stickers(load_dataset(small_set), 12)
    return write_calibration_set(sample, tmp_path / "set").root


def refused(root: Path, match: str, class_names: tuple[str, ...] | None = None) -> None:
    with pytest.raises(DataError, match=match) as caught:
        load_calibration_set(root, class_names)
    assert "\n" not in str(caught.value)


def edit(root: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    file = root / "manifest.json"
    manifest = json.loads(file.read_text("utf-8"))
    change(manifest)
    file.write_text(json.dumps(manifest), "utf-8")
    return root


def first_image(root: Path) -> Path:
    return load_calibration_set(root).stickers[0].image


def rehash(root: Path, image: Path) -> None:
    """Make the manifest agree with a changed image."""
    place = image.relative_to(root).as_posix()

    def change(manifest: dict[str, Any]) -> None:
        for sticker in manifest["stickers"]:
            if sticker["path"] == place:
                sticker.update(sha256=sha256(image), bytes=image.stat().st_size)
        content = [[item["sha256"], item["text"], item["label"]] for item in manifest["stickers"]]
        text = json.dumps(content, separators=(",", ":"))
        manifest["set_hash"] = hashlib.sha256(text.encode()).hexdigest()

    edit(root, change)


def test_set_holds_the_stickers_unchanged_and_in_order(small_set: Path, tmp_path: Path) -> None:
    sample = sample_stickers(load_dataset(small_set), 12, seed=3)
    written = write_calibration_set(sample, tmp_path / "set")
    calibration = load_calibration_set(tmp_path / "set", CLASSES)
    assert calibration == written
    for source, sticker in zip(sample.stickers, calibration.stickers, strict=True):
        assert (sticker.text, sticker.label, sticker.topic) == (source.text, source.label, source.topic)
        assert sticker.image.read_bytes() == source.image.read_bytes()
        assert sticker.image == tmp_path / "set" / "images" / source.topic / source.image.name
    manifest = calibration.manifest
    assert (manifest.data_set, manifest.split, manifest.seed) == ("stickers-small", "train", 3)
    assert manifest.class_names == CLASSES
    names = [CLASSES[sticker.label] for sticker in sample.stickers]
    assert manifest.class_counts == {name: names.count(name) for name in CLASSES}
    assert manifest.topic_counts == Counter(sticker.topic for sticker in sample.stickers)
    assert manifest.stickers[0].source.startswith("Images/")
    assert calibration.bytes == sum(sticker.image.stat().st_size for sticker in sample.stickers)


def test_set_may_be_moved(sampled: Path, tmp_path: Path) -> None:
    before = load_calibration_set(sampled)
    sampled.rename(tmp_path / "moved")
    after = load_calibration_set(tmp_path / "moved")
    assert after.set_hash == before.set_hash
    assert all(sticker.image.is_file() for sticker in after.stickers)


def test_hash_is_of_images_texts_labels_and_order_alone(sampled: Path) -> None:
    stickers = load_calibration_set(sampled).manifest.stickers
    known = set_hash(stickers)

    def changed(**values: object) -> str:
        return set_hash([stickers[0].model_copy(update=values), *stickers[1:]])

    assert changed(path="images/elsewhere.png", source="x", topic="y") == known
    others = [changed(sha256="0" * 64), changed(text="x"), changed(label="x"), set_hash(stickers[::-1])]
    assert len({known, *others}) == 5


def test_labels_keep_their_index_where_the_classes_are_in_another_order(tmp_path: Path) -> None:
    dataset = coloured_dataset(tmp_path / "data", {"train": [("a.png", "zest", ""), ("b.png", "awe", "")]})
    calibration = write_calibration_set(sample_stickers(dataset, 2), tmp_path / "set")
    labels = {sticker.image.name: sticker.label for sticker in calibration.stickers}
    assert calibration.manifest.class_names == ("awe", "zest")
    assert labels == {"a.png": 1, "b.png": 0}


def test_topics_of_any_kind_stay_inside_the_set_and_files_apart(tmp_path: Path) -> None:
    topics = ("../..", "a/b", "/etc", "x" * 300, "", "..", "cats", "Cats")
    rows = [(f"{number}/1.png", "joy", topic) for number, topic in enumerate(topics)]
    rows.append(("again/1.png", "joy", "cats"))
    dataset = coloured_dataset(tmp_path / "data", {"train": rows})
    output = tmp_path / "set"
    write_calibration_set(sample_stickers(dataset, len(rows)), output)
    calibration = load_calibration_set(output)
    assert len({sticker.image for sticker in calibration.stickers}) == len(rows)
    assert {sticker.topic for sticker in calibration.stickers} == set(topics)
    paths = [entry.path for entry in calibration.manifest.stickers]
    assert len({path.casefold() for path in paths}) == len(rows)
    assert all(len(path.split("/")) == 3 and ".." not in path.split("/") for path in paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "set"]


def test_another_set_is_replaced_but_nothing_else_is(sampled: Path, small_set: Path, tmp_path: Path) -> None:
    sample = sample_stickers(load_dataset(small_set), 3)
    write_calibration_set(sample, sampled)
    assert len(load_calibration_set(sampled).stickers) == len(list(sampled.glob("images/*/*"))) == 3
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="not a calibration set; choose another place with -o"):
        write_calibration_set(sample, bundle)
    assert [file.name for file in bundle.iterdir()] == ["manifest.json"]


def test_failed_writing_leaves_nothing(small_set: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small_set, copy)
    sample = sample_stickers(load_dataset(copy), 5)
    sample.stickers[-1].image.unlink()
    with pytest.raises(Exception, match="cannot write"):
        write_calibration_set(sample, tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_no_set(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "not a calibration set; make one with `mghft-export calibrate")
    refused(tmp_path, "not a calibration set")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "not a calibration set")


def test_set_without_stickers(sampled: Path) -> None:
    refused(edit(sampled, lambda manifest: manifest.update(stickers=[])), "lists no stickers")


def test_other_classes_are_named_on_both_sides(sampled: Path) -> None:
    refused(sampled, r"\(anger, .*surprise\) are not the model's \(love, hate\)", ("love", "hate"))
    refused(sampled, "are not the model's", CLASSES[::-1])
    refused(sampled, "are not the model's", tuple(f"class {number + 1}" for number in range(6)))


def test_case_and_models_without_names_do_not_matter(sampled: Path) -> None:
    load_calibration_set(sampled, [name.upper() for name in CLASSES])
    load_calibration_set(sampled, [f"class {number + 1}" for number in range(7)])


def test_missing_image(sampled: Path) -> None:
    first_image(sampled).unlink()
    refused(sampled, r"\.png is missing from the calibration set")


def test_truncated_image(sampled: Path) -> None:
    image = first_image(sampled)
    image.write_bytes(image.read_bytes()[:-10])
    refused(sampled, r"\.png was changed after the sampling")


def test_changed_image_of_the_same_size(sampled: Path) -> None:
    image = first_image(sampled)
    content = bytearray(image.read_bytes())
    content[-1] ^= 1
    image.write_bytes(content)
    refused(sampled, r"\.png was changed after the sampling")


def test_unreadable_image_with_the_right_hash(sampled: Path) -> None:
    image = first_image(sampled)
    image.write_bytes(b"no image")
    rehash(sampled, image)
    refused(sampled, "an image that cannot be used: .* cannot be read as an image")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_image_without_permission(sampled: Path) -> None:
    first_image(sampled).chmod(0)
    refused(sampled, "check its permissions")


@pytest.mark.parametrize("path", ["../set-of-others.png", "/etc/passwd"])
def test_image_outside_the_set(sampled: Path, path: str) -> None:
    refused(edit(sampled, lambda manifest: manifest["stickers"][0].update(path=path)), "outside the set")


def test_link_to_an_image_outside_the_set(sampled: Path, tmp_path: Path) -> None:
    image = first_image(sampled)
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    refused(sampled, "outside the set")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"text": "another text"}, "were changed after the sampling"),
        ({"text": " "}, "has no text for images/"),
        ({"label": "love"}, r"'love', which is none of its classes \(anger, "),
        ({"topic": "another"}, "counts of .* are not those of its stickers"),
        ({"bytes": 0}, r"damaged at 'stickers\.0\.bytes'"),
        ({"sha256": "0" * 64}, "were changed after the sampling"),
        ({"path": "a\x00b"}, r"damaged at 'stickers\.0\.path'"),
    ],
)
def test_sticker_changed_by_hand(sampled: Path, changes: dict[str, object], match: str) -> None:
    refused(edit(sampled, lambda manifest: manifest["stickers"][0].update(changes)), match)


def test_sticker_listed_twice(sampled: Path) -> None:
    refused(
        edit(sampled, lambda manifest: manifest["stickers"].append(manifest["stickers"][0])), "lists .* twice"
    )


def test_sticker_left_out_by_hand(sampled: Path) -> None:
    refused(edit(sampled, lambda manifest: manifest["stickers"].pop()), "counts of")


@pytest.mark.parametrize("split", ["val", "test", "all"])
def test_set_of_another_split(sampled: Path, split: str) -> None:
    refused(edit(sampled, lambda manifest: manifest.update(split=split)), r"at 'split' .*'train'")


def test_another_schema_version(sampled: Path) -> None:
    refused(edit(sampled, lambda manifest: manifest.update(schema_version=99)), "schema version 99")


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff"])
def test_manifest_that_is_not_json(sampled: Path, content: bytes) -> None:
    (sampled / "manifest.json").write_bytes(content)
    refused(sampled, "is not JSON|cannot be read")


def test_set_of_train_is_apart_from_val_and_test(sampled: Path, small_set: Path) -> None:
    check_not_held_out(load_calibration_set(sampled), load_dataset(small_set))


@pytest.mark.parametrize("split", ["val", "test"])
def test_set_with_a_held_out_image_is_refused(
    sampled: Path, small_set: Path, tmp_path: Path, split: str
) -> None:
    """The same image under another name and in another topic."""
    dataset = load_dataset(small_set)
    image = first_image(sampled)
    shutil.copy(dataset.split(split)[0].image, image)
    rehash(sampled, image)
    name = dataset.split(split)[0].image.name
    with pytest.raises(DataError, match=rf"^images/.* is .*{name} of {split}; calibrate on a set"):
        check_not_held_out(load_calibration_set(sampled), dataset)


def test_set_with_a_held_out_name_is_refused(sampled: Path, small_set: Path) -> None:
    """As of a sticker that was converted, so that its hash is another."""
    dataset = load_dataset(small_set)
    other = dataset.split("test")[0]

    def change(manifest: dict[str, Any]) -> None:
        first = manifest["stickers"][0]
        manifest["topic_counts"] = dict(Counter(item["topic"] for item in manifest["stickers"][1:]))
        manifest["topic_counts"][other.topic] = manifest["topic_counts"].get(other.topic, 0) + 1
        first.update(topic=other.topic, source=f"Images/{other.topic}/{other.image.name}")

    edit(sampled, change)
    with pytest.raises(DataError, match=rf"{other.image.name} of test"):
        check_not_held_out(load_calibration_set(sampled), dataset)
