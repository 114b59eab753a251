"""Data as people have them: tables of any common kind, class folders, labels in any spelling, divided fairly."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from mghft_export.cli.data import data
from mghft_export.cli.main import cli, run
from mghft_export.errors import DataError
from mghft_export.stickers.dataset import Sticker, load_dataset, scan_dataset
from mghft_export.stickers.datasets.readiness import readiness, small_set_note
from mghft_export.stickers.datasets.splitting import divide, parse_fractions, write_division

ROWS = (("a.png", "hooray", "Joy"), ("b.png", "oh no", " sadness"), ("c.png", "ha", "joy"))


def draw(file: Path, colour: str | tuple[int, int, int] = "red") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(file)
    return file


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, (name, *_) in enumerate(ROWS):
        draw(tmp_path / "images" / name, (number, 0, 0))
    return tmp_path


def separated(separator: str, header: tuple[str, ...] = ("image", "text", "label")) -> str:
    return "\n".join(separator.join(row) for row in (header, *ROWS)) + "\n"


def json_rows() -> list[dict[str, str]]:
    return [dict(zip(("image", "text", "label"), row, strict=True)) for row in ROWS]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", separated(",")),
        ("anything at all.csv", separated(";", ("Image", "TEXT", " Label"))),
        ("labels.tsv", separated("\t")),
        ("labels.csv", "\ufeff" + separated(",")),
        ("labels.csv", separated(",").replace("\n", "\r\n")),
        ("data.jsonl", "\n".join(map(json.dumps, json_rows()))),
        ("stickers.ndjson", "\n".join(map(json.dumps, json_rows()))),
        ("data.json", json.dumps(json_rows())),
    ],
)
def test_a_folder_with_a_table_is_a_data_set(images: Path, name: str, content: str) -> None:
    (images / name).write_text(content, encoding="utf-8", newline="")
    for root in (images, images / name):
        stickers = load_dataset(root)
        assert stickers.layout == "folder"
        assert stickers.class_names == ("Joy", "sadness"), "case and white space do not matter"
        assert [(item.text, item.label) for item in stickers.split("all")] == [
            ("hooray", 0),
            ("oh no", 1),
            ("ha", 0),
        ]
        assert stickers.split("all")[0].image == images / "images" / "a.png"


def test_a_folder_with_a_parquet_file_is_a_data_set(images: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(json_rows()), images / "labels.parquet")
    assert [item.label for item in load_dataset(images).split("all")] == [0, 1, 0]
    (images / "labels.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"labels\.parquet is damaged"):
        load_dataset(images)


def test_without_pyarrow_parquet_says_what_to_install(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (images / "labels.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'mghft-export\[parquet\]'"):
        load_dataset(images)


def test_columns_of_other_names(images: Path) -> None:
    (images / "labels.csv").write_text(separated(",", ("file", "caption", "emotion")))
    with pytest.raises(
        DataError, match=r"no column 'image'; it has file, caption, emotion: .*--columns image=NAME"
    ):
        load_dataset(images)
    columns = {"image": "File", "text": "caption", "label": "emotion"}
    assert load_dataset(images, columns=columns).split("all")[1].text == "oh no"
    with pytest.raises(DataError, match=r"no column 'mood'; it has file, caption, emotion"):
        load_dataset(images, columns={**columns, "label": "mood"})


def test_a_table_named_train_is_not_met_meme(images: Path) -> None:
    (images / "train.csv").write_text(separated(","))
    stickers = load_dataset(images)
    assert stickers.layout == "folder"
    assert [stickers.class_names[item.label] for item in stickers.split("train")] == ["Joy", "sadness", "Joy"]


def test_a_column_of_splits(images: Path) -> None:
    rows = [[*row, split] for row, split in zip(ROWS, ("Train", "validation", "TEST"), strict=True)]
    lines = ["image,text,label,split", *(",".join(row) for row in rows)]
    (images / "labels.csv").write_text("\n".join(lines))
    stickers = load_dataset(images)
    assert {split: len(found) for split, found in stickers.splits.items()} == {
        "train": 1,
        "val": 1,
        "test": 1,
    }
    (images / "labels.csv").write_text("\n".join([*lines[:3], "c.png,ha,joy,maybe"]))
    assert scan_dataset(images).problems[0].examples == (
        "labels.csv row 3: split 'maybe' is none of train, val, test",
    )


def test_tables_that_could_each_be_meant_are_named(images: Path) -> None:
    for name in ("one.csv", "two.tsv"):
        (images / name).write_text(separated("," if name.endswith("csv") else "\t"))
    with pytest.raises(DataError, match=r"several tables \(one\.csv, two\.tsv\)"):
        load_dataset(images)
    assert len(load_dataset(images / "two.tsv").split("all")) == 3
    (images / "train.csv").write_text(separated(","))
    (images / "train.jsonl").write_text(json.dumps(json_rows()[0]))
    with pytest.raises(DataError, match=r"two tables for train, train\.csv and train\.jsonl"):
        load_dataset(images)


def test_a_missing_column_of_texts_is_said(images: Path) -> None:
    (images / "labels.csv").write_text("image,label\na.png,joy\nb.png,sadness\n")
    stickers = scan_dataset(images)
    assert stickers.notes == ("labels.csv has no column 'text'; it has image, label",)
    assert not stickers.problems, "it is no fault of the rows"
    result = CliRunner().invoke(data, ["check", str(images)], env={"COLUMNS": "200"})
    assert "labels.csv has no column 'text'" in result.stdout
    assert "empty text" not in result.stdout
    assert "no sticker in the split 'all' has a text" in result.stdout


@pytest.mark.parametrize("base", ["", "images", "Images"])
def test_class_folders(tmp_path: Path, base: str) -> None:
    root = tmp_path / base
    for name in ("joy/a.png", "joy/deep/b.gif", "悲しみ/c.png"):
        draw(root / name)
    stickers = load_dataset(tmp_path)
    assert (stickers.layout, stickers.class_names) == ("class-folders", ("joy", "悲しみ"))
    assert [item.label for item in stickers.split("all")] == [0, 0, 1]
    assert stickers.notes
    (root / "joy/a.txt").write_text("hooray")
    stickers = load_dataset(tmp_path, skip_bad=True)
    assert [item.text for item in stickers.split("all")] == ["hooray"]
    assert not stickers.notes


def test_class_folders_in_a_folder_a_split(tmp_path: Path) -> None:
    for name in ("train/joy/a.png", "train/fear/b.png", "validation/joy/c.png", "test/fear/d.png"):
        draw(tmp_path / name)
    stickers = load_dataset(tmp_path)
    assert {split: len(found) for split, found in stickers.splits.items()} == {
        "train": 2,
        "val": 1,
        "test": 1,
    }
    assert stickers.class_names == ("fear", "joy")


def test_labels_are_mapped_whatever_their_spelling(images: Path) -> None:
    (images / "labels.csv").write_text(separated(","))
    stickers = load_dataset(images, label_map={"JOY": "happiness"})
    assert stickers.class_names == ("happiness", "sadness")
    numbers = separated(",").replace("Joy", "1").replace("joy", "1").replace(" sadness", "2")
    (images / "labels.csv").write_text(numbers)
    with pytest.raises(DataError, match=r"numbers without names; .*classes\.json.*--class-map"):
        load_dataset(images)
    assert load_dataset(images, label_map={"1": "joy", "2": "woe"}).class_names == ("joy", "woe")


def test_labels_outside_the_classes_name_the_remedy(images: Path) -> None:
    (images / "labels.csv").write_text(separated(","))
    (images / "classes.json").write_text('["anger", "fear"]')
    with pytest.raises(
        DataError, match=r"unknown label: 3\); name the classes in classes\.json, or .*--class-map"
    ):
        load_dataset(images)


def test_any_number_of_classes_in_any_script(tmp_path: Path) -> None:
    names = [f"情绪{number:03}" for number in range(150)]
    lines = [f"{draw(tmp_path / f'{number}.png').name},文字,{name}" for number, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,text,label", *lines]), encoding="utf-8")
    assert load_dataset(tmp_path).class_names == tuple(names)
    result = CliRunner().invoke(data, ["check", str(tmp_path)], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert names[77] in result.stdout


def test_names_of_classes_are_data(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("image,text,label\na.png,x,[bold]joy[/bold]\n")
    result = CliRunner().invoke(data, ["check", str(tmp_path)], env={"COLUMNS": "200"})
    assert "[bold]joy[/bold]" in result.stdout


def made(number: int, label: int, topic: str, root: Path) -> Sticker:
    path = draw(root / f"{number}.png", (number % 256, number // 256, label))
    return Sticker(path, "x", label, topic)


FRACTIONS = {"train": 80.0, "val": 10.0, "test": 10.0}


@pytest.fixture
def many(tmp_path: Path) -> tuple[Sticker, ...]:
    return tuple(
        made(number, number % 3 if number < 90 else 3, f"cat {number % 20}", tmp_path)
        for number in range(100)
    )


def test_classes_are_divided_in_proportion(many: tuple[Sticker, ...], tmp_path: Path) -> None:
    division = divide(many, FRACTIONS, root=tmp_path)
    for label, count in ((0, 30), (1, 30), (2, 30), (3, 10)):
        found = {split: sum(item.label == label for item in part) for split, part in division.splits.items()}
        assert found == {"train": count * 8 // 10, "val": count // 10, "test": count // 10}


def test_the_seed_decides_and_the_order_does_not(many: tuple[Sticker, ...], tmp_path: Path) -> None:
    first, again = (divide(order, FRACTIONS, root=tmp_path, seed=1).splits for order in (many, many[::-1]))
    assert {split: set(part) for split, part in first.items()} == {
        split: set(part) for split, part in again.items()
    }
    assert first != divide(many, FRACTIONS, root=tmp_path, seed=2).splits


def test_groups_stay_together(many: tuple[Sticker, ...], tmp_path: Path) -> None:
    division = divide(many, FRACTIONS, root=tmp_path, by_topic=True)
    home = {item.topic: split for split, part in division.splits.items() for item in part}
    assert all(home[item.topic] == split for split, part in division.splits.items() for item in part)
    assert division.groups == 20
    sizes = Counter({split: len(part) for split, part in division.splits.items()})
    assert sizes["train"] >= 70
    assert min(sizes.values()) >= 5


def test_equal_images_stay_together(tmp_path: Path) -> None:
    twins = tuple(
        Sticker(draw(tmp_path / f"{number}.png", (number // 2, 0, 0)), "x", 0, "") for number in range(40)
    )
    division = divide(twins, FRACTIONS, root=tmp_path)
    for part in division.splits.values():
        assert all(count == 2 for count in Counter(item.image.read_bytes() for item in part).values())


@pytest.mark.parametrize("text", ["80", "80,10", "a,b,c", "-1,1,1", "0,50,50", "nan,1,1"])
def test_nonsense_fractions_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="no fractions"):
        parse_fractions(text)


@pytest.fixture
def unsplit(tmp_path: Path) -> Path:
    lines = ["file;says;emotion;character"]
    for number in range(60):
        name = draw(tmp_path / "images" / f"{number}.png", (number, 0, 0)).name
        lines.append(f"{name};words {number};{'Joy' if number % 2 else 'fear '};cat {number % 12}")
    (tmp_path / "stickers.csv").write_text("\n".join(lines))
    return tmp_path


def test_split_makes_a_data_set_that_every_command_takes(
    unsplit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--columns", "image=file,text=says,label=emotion", "--class-map", "joy=happiness"]
    check = CliRunner().invoke(data, ["check", str(unsplit), *named, "--json"])
    assert json.loads(check.stdout)["ready"] == {"train": False, "eval": True, "calibrate": False}
    assert "mghft-export data split" in json.loads(check.stdout)["in_the_way"]["train"]
    assert run(cli, ["data", "split", str(unsplit), *named, "--group", "character"]) == 0
    assert "12 groups" in capsys.readouterr().out
    stickers = load_dataset(unsplit)
    assert list(stickers.splits) == ["train", "val", "test"]
    assert stickers.class_names == ("fear", "happiness")
    assert readiness(stickers) == {"train": None, "eval": None, "calibrate": None}
    assert json.loads((unsplit / "classes.json").read_text()) == ["fear", "happiness"]
    assert run(cli, ["calibrate", "--data", str(unsplit), "--size", "4", "-o", str(unsplit / "set")]) == 0
    capsys.readouterr()
    assert run(cli, ["data", "split", str(unsplit)]) == 2
    assert "splits train, val, test already" in capsys.readouterr().err


def test_split_refuses_to_write_over_tables(unsplit: Path) -> None:
    named = {"image": "file", "text": "says", "label": "emotion"}
    stickers = load_dataset(unsplit / "stickers.csv", columns=named)
    (unsplit / "val.jsonl").write_text("")
    division = divide(stickers.split("all"), FRACTIONS, root=unsplit)
    with pytest.raises(DataError, match=r"val\.jsonl exists"):
        write_division(division, unsplit, ["a"])
    assert not (unsplit / "train.jsonl").exists()


def test_what_train_says_of_a_data_set_without_splits(
    images: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("accelerate")
    (images / "labels.csv").write_text(separated(","))
    arguments = [str(images), "--recipe", "mini", "--set", "topics=[]", "-o", str(tmp_path / "run")]
    assert run(cli, ["train", *arguments]) == 2
    assert "no split 'train', only all; divide it with `mghft-export data split" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "words"),
    [("joy", "neither a JSON file"), ("=joy", "maps no labels"), ("list.json", "maps no labels")],
)
def test_nonsense_class_maps(
    images: Path, value: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(images)
    Path("list.json").write_text("[1]")
    assert run(cli, ["data", "check", ".", "--class-map", value]) == 2
    assert words in capsys.readouterr().err


def test_small_sets_carry_a_note() -> None:
    note = small_set_note(12)
    assert note is not None
    assert "23 points" in note
    assert small_set_note(100) is None
