"""Classify all images of a folder, with one text for each from a table, and write a CSV file.

    python examples/classify_folder.py mghft-bundle STICKERS texts.csv emotions.csv

The table has the columns `image` and `text`; docs/python.md explains the calls.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import mghft_export as mghft


def main(bundle: str, folder: str, table: str, output: str) -> None:
    """Classify the images, and write a row for each."""
    with Path(table).open(newline="", encoding="utf-8") as stream:
        texts = {row["image"]: row["text"] for row in csv.DictReader(stream)}
    images = [path for path in sorted(Path(folder).rglob("*")) if path.name in texts]
    with mghft.load(bundle) as model:
        predictions = model.predict(images, [texts[path.name] for path in images])
    with Path(output).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "emotion", *model.class_names])
        for path, prediction in zip(images, predictions, strict=True):
            writer.writerow([path.name, prediction.label, *prediction.probabilities.values()])


if __name__ == "__main__":
    try:
        main(*sys.argv[1:5])
    except mghft.MGHFTError as error:  # one sentence that says what to do
        sys.exit(f"error: {error}")
