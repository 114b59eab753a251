"""SER30K's layout: ``Images/<topic>/<file>`` and one JSON file for each split, with or without multi-view texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, StrictInt

from mghft_export.errors import DataError
from mghft_export.stickers.datasets.files import String, parse, read_json
from mghft_export.stickers.datasets.labels import SER30K_CLASSES, labels_of_root
from mghft_export.stickers.datasets.problems import Finding
from mghft_export.stickers.datasets.table import SPLITS, Row, Table

MULTI_VIEW = "Annotations_mg"
PLAIN = "Annotations"


class _Annotation(BaseModel):
    topic: String
    file_name: String
    text: String | None = None
    anno: StrictInt | String


def is_ser30k(root: Path) -> bool:
    """Whether the folder has SER30K's layout."""
    return any((root / name).is_dir() for name in (MULTI_VIEW, PLAIN))


def read_ser30k(root: Path, label_map: Mapping[str, str], columns: Mapping[str, str] | None = None) -> Table:
    """Read a data set with SER30K's layout.

    ``Annotations_mg`` is preferred to ``Annotations``. In ``Annotations`` texts are optional.

    Raises:
        DataError: there are no annotations, or a file is damaged.
    """
    if columns:
        raise DataError(f"the fields of SER30K ({root}) are known; leave out --columns or --format ser30k")
    rows: list[Row] = []
    unreadable: list[Finding] = []
    for split, file in annotation_files(root).items():
        with_texts = file.parent.parent.name == MULTI_VIEW
        good, bad = parse(file, enumerate(read_annotations(file), start=1), _Annotation)
        unreadable += bad
        for source, annotation in good:
            rows.append(
                Row(
                    split=split,
                    folder=root / "Images",
                    image=f"{annotation.topic}/{annotation.file_name}",
                    text=annotation.text or ("" if with_texts else None),
                    label=annotation.anno,
                    topic=annotation.topic,
                    source=source,
                )
            )
    labels = labels_of_root(root, SER30K_CLASSES, first_number=1, label_map=label_map)
    return Table(tuple(rows), tuple(unreadable), labels)


def annotation_files(root: Path) -> dict[str, Path]:
    """Split -> its file, in ``Annotations_mg`` or else in ``Annotations``.

    Raises:
        DataError: there is no file.
    """
    annotations = root / (MULTI_VIEW if (root / MULTI_VIEW).is_dir() else PLAIN)
    files = {split: annotations / "image-level" / f"{split}.json" for split in SPLITS}
    files = {split: file for split, file in files.items() if file.is_file()}
    if not files:
        raise DataError(
            f"{annotations}/image-level has no train.json, val.json or test.json; give the folder of SER30K"
        )
    return files


def read_annotations(file: Path) -> list[object]:
    """The annotations of one split, as its file has them.

    Raises:
        DataError: the file cannot be read, or has no list of annotations.
    """
    content = read_json(file)
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(annotations, list):
        raise DataError(f'{file} has no list "annotations"; download the annotations again')
    return annotations
