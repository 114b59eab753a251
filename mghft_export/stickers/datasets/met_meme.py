"""MET-Meme's layout: the release's tables of labels and texts, or one CSV or JSON file for each split.

The release has ``label_E.csv``, ``E_text.csv`` and ``Eimages/`` (the same with C for Chinese) and no splits.
Your own table has the columns image, text and label. The release's names of these columns are understood, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import AliasChoices, BaseModel, Field, StrictInt

from mghft_export.errors import DataError
from mghft_export.stickers.datasets.files import String, csv_rows, parse, read_json
from mghft_export.stickers.datasets.labels import MET_MEME_CLASSES, labels_of_root
from mghft_export.stickers.datasets.problems import Finding
from mghft_export.stickers.datasets.table import SPLITS, WHOLE, Row, Table

LANGUAGES = {"E": "english", "C": "chinese"}
IMAGE_FOLDERS = ("Images", "images")


class _Image(BaseModel):
    image: String = Field(validation_alias=AliasChoices("image", "file_name", "images_name"))


class _Text(_Image):
    text: String | None = None


class _Labelled(_Image):
    label: StrictInt | String = Field(validation_alias=AliasChoices("label", "sentiment category"))


class _Complete(_Labelled, _Text):
    topic: String = ""


def is_met_meme(root: Path) -> bool:
    """Whether the folder has MET-Meme as released. Tables with other names may belong to another data set."""
    return bool(_released(root))


def read_met_meme(
    root: Path, label_map: Mapping[str, str], columns: Mapping[str, str] | None = None
) -> Table:
    """Read MET-Meme, as released or as tables of image, text and label.

    Raises:
        DataError: there are no tables, or one is damaged.
    """
    if columns:
        raise DataError(
            f"the columns of MET-Meme ({root}) are known; leave out --columns or --format met-meme"
        )
    rows: list[Row] = []
    unreadable: list[Finding] = []
    for letter in _released(root):
        _read_released(root, letter, rows, unreadable)
    for split, file in {} if rows else _tables(root).items():
        _read_table(root, split, file, rows, unreadable)
    if not rows and not unreadable:
        raise DataError(
            f"{root} has no MET-Meme tables; give the folder of label_E.csv and E_text.csv, or train.csv"
        )
    labels = labels_of_root(root, MET_MEME_CLASSES, first_number=1, label_map=label_map)
    return Table(tuple(rows), tuple(unreadable), labels)


def _released(root: Path) -> list[str]:
    return [
        letter
        for letter in LANGUAGES
        if (root / f"label_{letter}.csv").is_file() and (root / f"{letter}_text.csv").is_file()
    ]


def _read_released(root: Path, letter: str, rows: list[Row], unreadable: list[Finding]) -> None:
    text_file, label_file = root / f"{letter}_text.csv", root / f"label_{letter}.csv"
    texts, bad = parse(text_file, csv_rows(text_file), _Text)
    labelled, more = parse(label_file, csv_rows(label_file), _Labelled)
    unreadable += bad + more
    text_of = {row.image.strip(): row.text for _, row in texts}
    for source, row in labelled:
        image = row.image.strip()
        folder, text = root / f"{letter}images", text_of.get(image) or ""
        rows.append(Row(WHOLE, folder, image, text, row.label, LANGUAGES[letter], source))


def _tables(root: Path) -> dict[str, Path]:
    """Split -> file. A file named ``data`` holds a data set without splits."""
    names = {**{split: split for split in SPLITS}, WHOLE: "data"}
    candidates = [
        (split, root / f"{name}{end}") for split, name in names.items() for end in (".csv", ".json")
    ]
    return {split: file for split, file in candidates if file.is_file()}


def _read_table(root: Path, split: str, file: Path, rows: list[Row], unreadable: list[Finding]) -> None:
    folder = next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), root)
    records = csv_rows(file) if file.suffix == ".csv" else _json_records(file)
    good, bad = parse(file, records, _Complete)
    unreadable += bad
    for source, row in good:
        rows.append(Row(split, folder, row.image.strip(), row.text or "", row.label, row.topic, source))


def _json_records(file: Path) -> enumerate[object]:
    content = read_json(file)
    if not isinstance(content, list):
        raise DataError(f"{file} is not a list; write a list of objects with image, text and label")
    return enumerate(content, start=1)
