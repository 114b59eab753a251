"""Every layout is read; every way in which a row can be bad is found, counted and, on request, skipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from mghft_export.errors import DataError
from mghft_export.stickers.dataset import StickerSet, load_dataset, scan_dataset
from mghft_export.stickers.datasets.labels import MET_MEME_CLASSES, SER30K_CLASSES
from mghft_export.stickers.datasets.overview import describe
from mghft_export.stickers.datasets.problems import MAX_EXAMPLES, ProblemKind
from mghft_export.stickers.views import VIEWS

TEXT = " ".join(f"#The sticker's {view} is this." for view in VIEWS)


def draw(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), "red").save(file)


def annotation(
    file_name: str, anno: object = 4, text: str | None = TEXT, topic: str = "cats"
) -> dict[str, object]:
    row: dict[str, object] = {"topic": topic, "file_name": file_name, "anno": anno}
    return row if text is None else {**row, "text": text}


def write_ser30k(
    root: Path, splits: Mapping[str, list[object]], *, name: str = "Annotations_mg", images: bool = True
) -> Path:
    for split, rows in splits.items():
        file = root / name / "image-level" / f"{split}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"annotations": rows}))
        for row in rows if images else []:
            assert isinstance(row, dict)
            draw(root / "Images" / row["topic"] / row["file_name"])
    return root


def write_lines(file: Path, rows: list[object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")


def kinds(stickers: StickerSet) -> dict[ProblemKind, int]:
    return {problem.kind: problem.count for problem in stickers.problems}


def test_ser30k_labels_start_at_0_and_names_are_its_seven(tmp_path: Path) -> None:
    write_ser30k(
        tmp_path, {"train": [annotation("a.png", 1), annotation("b.png", 7)], "test": [annotation("c.png")]}
    )
    stickers = load_dataset(tmp_path)
    assert stickers.layout == "ser30k"
    assert list(stickers.splits) == ["train", "test"]
    assert [sticker.label for sticker in stickers.split("train")] == [0, 6]
    assert stickers.class_names == SER30K_CLASSES
    sticker = stickers.split("test")[0]
    assert (sticker.image, sticker.text, sticker.topic) == (tmp_path / "Images/cats/c.png", TEXT, "cats")
    assert not stickers.problems


def test_ser30k_classes_file_gives_names_and_numbers(tmp_path: Path) -> None:
    write_ser30k(tmp_path, {"train": [annotation("a.png", 1), annotation("b.png", 0)]})
    (tmp_path / "classes.json").write_text('{"1": "yes", "0": "no"}')
    stickers = load_dataset(tmp_path)
    assert stickers.class_names == ("no", "yes")
    assert [sticker.label for sticker in stickers.split("train")] == [1, 0]


@pytest.mark.parametrize("content", ['{"1": "a", "3": "b"}', '["a", "A"]', "[]", '{"x": "a"}', "3", "{"])
def test_damaged_classes_file_is_refused(tmp_path: Path, content: str) -> None:
    write_ser30k(tmp_path, {"train": [annotation("a.png")]})
    (tmp_path / "classes.json").write_text(content)
    with pytest.raises(DataError, match=r"classes\.json"):
        load_dataset(tmp_path)


def test_plain_annotations_need_no_text(tmp_path: Path) -> None:
    rows: list[object] = [annotation("a.png", text=None), annotation("b.png", text="hello")]
    write_ser30k(tmp_path, {"train": rows}, name="Annotations")
    assert [sticker.text for sticker in load_dataset(tmp_path).split("train")] == ["", "hello"]


def test_multi_view_annotations_go_before_plain_ones_and_need_texts(tmp_path: Path) -> None:
    write_ser30k(tmp_path, {"train": [annotation("a.png", text=None)]}, name="Annotations")
    write_ser30k(tmp_path, {"train": [annotation("a.png", text=None), annotation("b.png", text=" \n")]})
    assert kinds(scan_dataset(tmp_path)) == {ProblemKind.EMPTY_TEXT: 2}


def test_folder_of_json_lines_takes_its_classes_from_the_labels(tmp_path: Path) -> None:
    for name in "ab":
        draw(tmp_path / "deep" / f"{name}.png")
    write_lines(tmp_path / "data.jsonl", [{"image": f"deep/{n}.png", "text": TEXT, "label": n} for n in "ba"])
    stickers = load_dataset(tmp_path)
    assert stickers.layout == "folder"
    assert stickers.class_names == ("a", "b")
    assert [sticker.label for sticker in stickers.split("all")] == [1, 0]


def test_folder_with_numbers_needs_names(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    write_lines(tmp_path / "train.jsonl", [{"image": "a.png", "text": TEXT, "label": 1}])
    with pytest.raises(DataError, match=r"write the names in classes\.json"):
        load_dataset(tmp_path)
    (tmp_path / "classes.json").write_text('["no", "yes"]')
    assert load_dataset(tmp_path).split("train")[0].label == 1


def test_met_meme_as_released_joins_labels_and_texts(tmp_path: Path) -> None:
    draw(tmp_path / "Eimages" / "image_ (1).jpg")
    (tmp_path / "label_E.csv").write_text(
        "file_name,sentiment category,sentiment degree,,\nimage_ (1).jpg,4(sorrow),2(moderately),,\n"
    )
    (tmp_path / "E_text.csv").write_text(
        '\ufefffile_name,text,,\nimage_ (1).jpg,"two\nlines",,\n', encoding="utf-8"
    )
    stickers = load_dataset(tmp_path)
    assert stickers.layout == "met-meme"
    assert stickers.class_names == MET_MEME_CLASSES
    (sticker,) = stickers.split("all")
    assert (sticker.text, sticker.label, sticker.topic) == ("two\nlines", 3, "english")


def test_met_meme_label_map_leads_to_other_classes(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        draw(tmp_path / "images" / name)
    (tmp_path / "train.csv").write_text(
        f"image,text,label\na.png,{TEXT},4(sorrow)\nb.png,{TEXT},hate\nc.png,{TEXT},4\n"
    )
    label_map = {"sorrow": "sadness", "hate": "disgust"}
    stickers = scan_dataset(tmp_path, format="met-meme", label_map=label_map)
    assert stickers.class_names == SER30K_CLASSES
    assert [stickers.class_names[sticker.label] for sticker in stickers.split("train")] == [
        "sadness",
        "disgust",
    ]
    # A bare 4 is MET-Meme's sorrow, and must not become the fourth of the new classes.
    assert kinds(stickers) == {ProblemKind.UNKNOWN_LABEL: 1}


def test_met_meme_table_may_be_json(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "test.json").write_text(json.dumps([{"image": "a.png", "text": TEXT, "label": "Surprise"}]))
    assert load_dataset(tmp_path, format="met-meme").split("test")[0].label == 6


def test_each_problem_is_counted_by_kind_and_refused(tmp_path: Path) -> None:
    good: list[object] = [annotation("a.png"), annotation("b.png")]
    write_ser30k(tmp_path, {"train": good})
    bad: list[object] = [
        annotation("gone.png"),
        annotation("a.png", 8),
        annotation("a.png", "bliss"),
        annotation("b.png", text=""),
        {"topic": "cats"},
        annotation("a.png", True),
        "not an object",
        annotation("a.png", text="half a character \ud800"),
        annotation("n" * 300),
        annotation("nul\0"),
    ]
    write_ser30k(tmp_path, {"train": [*good, *bad]}, images=False)
    expected = {
        ProblemKind.UNREADABLE_ROW: 4,
        ProblemKind.MISSING_IMAGE: 3,
        ProblemKind.UNKNOWN_LABEL: 2,
        ProblemKind.EMPTY_TEXT: 1,
    }
    assert kinds(scan_dataset(tmp_path)) == expected
    with pytest.raises(DataError, match=r"10 bad rows .*missing image: 3.*skip-bad"):
        load_dataset(tmp_path)
    stickers = load_dataset(tmp_path, skip_bad=True)
    assert len(stickers.split("train")) == 2
    assert stickers.bad_rows == 10


def test_problems_show_the_first_ten_and_say_where(tmp_path: Path) -> None:
    write_ser30k(tmp_path, {"val": [annotation(f"{index}.png") for index in range(25)]}, images=False)
    (problem,) = scan_dataset(tmp_path).problems
    assert problem.count == 25
    assert len(problem.examples) == MAX_EXAMPLES
    assert problem.examples[0] == f"val.json row 1: {tmp_path / 'Images/cats/0.png'}"


@pytest.mark.parametrize(
    ("topic", "file_name"),
    [
        ("..", "secret.png"),
        ("cats", "../../secret.png"),
        ("{root}", "secret.png"),
        ("..", "../etc/passwd"),
        ("", ""),
    ],
)
def test_image_outside_the_data_set_is_refused_even_if_it_exists(
    tmp_path: Path, topic: str, file_name: str
) -> None:
    draw(tmp_path / "secret.png")
    rows: list[object] = [annotation(file_name, topic=topic.format(root=tmp_path))]
    write_ser30k(tmp_path, {"train": rows}, images=False)
    assert kinds(scan_dataset(tmp_path)) == {ProblemKind.OUTSIDE_ROOT: 1}


def test_image_twice_in_a_split_keeps_the_first_row(tmp_path: Path) -> None:
    rows: list[object] = [annotation("a.png", 1), annotation("../cats/a.png", 2), annotation("a.png", 3)]
    write_ser30k(tmp_path, {"train": rows})
    assert kinds(scan_dataset(tmp_path)) == {ProblemKind.REPEATED_IMAGE: 2}
    assert [sticker.label for sticker in load_dataset(tmp_path, skip_bad=True).split("train")] == [0]


def test_image_in_two_splits_stays_where_it_is_measured(tmp_path: Path) -> None:
    splits: dict[str, list[object]] = {
        "train": [annotation("a.png"), annotation("b.png"), annotation("c.png")],
        "val": [annotation("b.png")],
        "test": [annotation("a.png"), annotation("a.png")],
    }
    write_ser30k(tmp_path, splits)
    stickers = load_dataset(tmp_path, skip_bad=True)
    assert kinds(stickers) == {ProblemKind.SHARED_IMAGE: 2, ProblemKind.REPEATED_IMAGE: 1}
    names = {split: [sticker.image.name for sticker in rows] for split, rows in stickers.splits.items()}
    assert names == {"train": ["c.png"], "val": ["b.png"], "test": ["a.png"]}


def test_relative_root_is_as_good_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ser30k(tmp_path, {"train": [annotation("a.png")]})
    monkeypatch.chdir(tmp_path)
    assert load_dataset(Path()).split("train")[0].image.is_file()
    (tmp_path / "other").mkdir()
    assert load_dataset(Path("other/..")).split("train")[0].image.is_file()


def test_data_set_without_a_usable_row_is_refused_even_when_skipping(tmp_path: Path) -> None:
    write_ser30k(tmp_path, {"train": [annotation("gone.png")]}, images=False)
    with pytest.raises(DataError, match="no usable sticker"):
        load_dataset(tmp_path, skip_bad=True)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"annotations": {}}', b"\xff\xfe", b"[" * 100_000])
def test_damaged_annotation_file_is_refused(tmp_path: Path, content: bytes) -> None:
    write_ser30k(tmp_path, {"train": []})
    (tmp_path / "Annotations_mg/image-level/train.json").write_bytes(content)
    with pytest.raises(DataError, match=r"train\.json"):
        load_dataset(tmp_path, skip_bad=True)


def test_what_is_no_data_set_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no known data set"):
        load_dataset(tmp_path)
    for layout in ("ser30k", "met-meme", "folder"):
        with pytest.raises(DataError):
            load_dataset(tmp_path, format=layout)  # type: ignore[arg-type]


def test_line_that_is_not_json_is_a_bad_row_not_a_bad_file(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    write_lines(tmp_path / "data.jsonl", [{"image": "a.png", "text": TEXT, "label": "joy"}])
    with (tmp_path / "data.jsonl").open("a") as lines:
        lines.write('\n{"image": \n')
    stickers = load_dataset(tmp_path, skip_bad=True)
    assert kinds(stickers) == {ProblemKind.UNREADABLE_ROW: 1}
    assert stickers.problems[0].examples[0].startswith("data.jsonl row 3:")


def test_statistics_count_classes_words_and_missing_views(tmp_path: Path) -> None:
    rows: list[object] = [annotation("a.png", 1, "one two three"), annotation("b.png", 1)]
    write_ser30k(tmp_path, {"train": rows})
    statistics = describe(load_dataset(tmp_path))
    assert statistics.class_counts["train"]["anger"] == 2
    assert statistics.words is not None
    assert (statistics.words.p5, statistics.words.longest) == (3, len(TEXT.split()))
    assert statistics.tokens is None
    assert statistics.incomplete == 1
    assert statistics.missing_views == {"intention": 1, "style": 1, "main role": 1, "gesture": 1}
