"""A folder of one's own: images anywhere in it, and JSON lines with image, text and label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, StrictInt

from mghft_export.errors import DataError
from mghft_export.stickers.datasets.files import String, json_lines, parse
from mghft_export.stickers.datasets.labels import Labels, read_classes
from mghft_export.stickers.datasets.problems import Finding
from mghft_export.stickers.datasets.rows import SPLITS, WHOLE, Row, Table


class _Line(BaseModel):
    image: String
    text: String | None = None
    label: StrictInt | String
    topic: String = ""


def is_folder(root: Path) -> bool:
    """Whether the folder has JSON lines."""
    return bool(_files(root))


def read_folder(root: Path, label_map: Mapping[str, str]) -> Table:
    """Read ``{train,val,test}.jsonl``, or ``data.jsonl`` as the one split "all".

    Class names are those of ``classes.json``, or else the labels themselves, sorted.

    Raises:
        DataError: there is no such file, one is damaged, or labels are numbers without names.
    """
    files = _files(root)
    if not files:
        raise DataError(
            f'{root} has no data.jsonl or train.jsonl; write one line {{"image", "text", "label"}} a sticker'
        )
    rows: list[Row] = []
    unreadable: list[Finding] = []
    for split, file in files.items():
        good, bad = parse(file, json_lines(file), _Line)
        unreadable += bad
        rows += [
            Row(split, root, line.image, line.text or "", line.label, line.topic, source)
            for source, line in good
        ]
    return Table(tuple(rows), tuple(unreadable), _labels(root, rows, label_map))


def _files(root: Path) -> dict[str, Path]:
    files = {split: root / f"{split}.jsonl" for split in SPLITS} | {WHOLE: root / "data.jsonl"}
    return {split: file for split, file in files.items() if file.is_file()}


def _labels(root: Path, rows: list[Row], label_map: Mapping[str, str]) -> Labels:
    if (root / "classes.json").is_file():
        return read_classes(root / "classes.json", label_map)
    said = {str(row.label).strip() for row in rows}
    names = {label_map.get(label, label) for label in said} | set(label_map.values())
    names.discard("")
    if any(name.isdecimal() for name in names):
        raise DataError(f"the labels of {root} are numbers without names; write the names in classes.json")
    return Labels(tuple(sorted(names)), label_map=label_map)
