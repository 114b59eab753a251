"""Which text belongs to which image, and what is said where none or too few do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mghft_export.cli.texts import texts_of_images
from mghft_export.errors import MGHFTError

A, B = Path("pack/a.png"), Path("other/a.png")


def test_without_a_text_all_four_ways_are_named() -> None:
    with pytest.raises(MGHFTError) as caught:
        texts_of_images([A], (), None)
    for way in ("--text ", "--text-file", "--text-features", "--interpret"):
        assert way in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "image,text\na.png,one\n"),
        ("t.csv", "Image;Text\na.png;one\n"),
        ("t.tsv", "text\timage\none\ta.png\n"),
        ("t.csv", "\ufefffile_name,text\npack/a.png,one\n"),
        ("t.jsonl", '{"image": "a.png", "text": "one"}\n'),
        ("t.json", '[{"image": "./pack/a.png", "text": "one"}]'),
        ("t.json", '{"annotations": [{"topic": "pack", "file_name": "a.png", "text": "one"}]}'),
        ("t.txt", "one\n"),
        ("t", "one"),
    ],
)
def test_texts_come_from_every_kind_of_file(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert texts_of_images([A], (), tmp_path / name) == ["one"]


def test_columns_of_other_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,caption\na.png,one\n")
    assert texts_of_images([A], (), tmp_path / "t.csv", {"image": "file", "text": "caption"}) == ["one"]
    with pytest.raises(MGHFTError, match=r"no column 'image'; it has file, caption: .*--columns image=NAME"):
        texts_of_images([A], (), tmp_path / "t.csv")
    with pytest.raises(MGHFTError, match=r"no column 'words'; it has file, caption"):
        texts_of_images([A], (), tmp_path / "t.csv", {"image": "file", "text": "words"})


@pytest.mark.parametrize("name", ["t.xlsx", "t.docx", "t.pdf", "t.png"])
def test_files_of_unknown_kinds_are_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("image,text\na.png,one\n")
    with pytest.raises(MGHFTError, match=rf"{name} is of a kind that is not read as texts .*\.csv"):
        texts_of_images([A], (), tmp_path / name)


def test_equal_file_names_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    rows = [{"image": "pack/a.png", "text": "one"}, {"image": "other/a.png", "text": "two"}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert texts_of_images([A, B, A], (), tmp_path / "t.jsonl") == ["one", "two", "one"]
    with pytest.raises(MGHFTError, match=r"several rows that could mean third/a\.png"):
        texts_of_images([Path("third/a.png")], (), tmp_path / "t.jsonl")


def test_two_texts_for_one_image_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,text\na.png,one\na.png,two\n")
    with pytest.raises(MGHFTError, match=r"two texts for a\.png"):
        texts_of_images([A], (), tmp_path / "t.csv")


def test_an_empty_text_names_its_image(tmp_path: Path) -> None:
    with pytest.raises(MGHFTError, match=r"the text of other/a\.png is empty"):
        texts_of_images([A, B], ("one", " "), None)
