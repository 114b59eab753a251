"""Data sets of plain colours, as folders of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from mghft_export.stickers.dataset import StickerSet, load_dataset

Row = tuple[str, str, str]
"""File, label and topic."""


def coloured_dataset(root: Path, splits: Mapping[str, Sequence[Row]]) -> StickerSet:
    """A data set of given rows by split; each image has a colour of its own."""
    number = 0
    for split, rows in splits.items():
        lines = []
        for file, label, topic in rows:
            number += 1
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 7)).save(root / file)
            row = {"image": file, "text": f"text of {file}", "label": label, "topic": topic}
            lines.append(json.dumps(row))
        (root / f"{split}.jsonl").write_text("\n".join(lines))
    return load_dataset(root)
