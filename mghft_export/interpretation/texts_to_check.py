"""Reads texts and their images from a file that the interpreter wrote, or from a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from mghft_export.errors import InterpreterError
from mghft_export.stickers.dataset import load_dataset
from mghft_export.stickers.datasets.files import String, json_lines, parse
from mghft_export.stickers.datasets.labels import SER30K_CLASSES


class _Line(BaseModel):
    image: String
    text: String
    label: String | None = None


@dataclass(frozen=True)
class TextOfImage:
    """One sticker's text."""

    image: Path
    text: str
    """Empty if the sticker has no text."""
    label: str | None


@dataclass(frozen=True)
class Texts:
    """The texts to check."""

    rows: tuple[TextOfImage, ...]
    class_names: tuple[str, ...]
    """The class names of the data set; SER30K's if there are no labels."""


def read_texts_to_check(path: Path) -> Texts:
    """Read JSON lines (paths of images are relative to the file) or a data set's folder.

    Raises:
        DataError: it cannot be read.
        InterpreterError: it is neither of them, has no texts, or has a line that is not the text of an image.
    """
    if path.is_dir():
        dataset = load_dataset(path, skip_bad=True, need_texts=False)
        rows = tuple(
            TextOfImage(sticker.image, sticker.text, dataset.class_names[sticker.label])
            for split in dataset.splits.values()
            for sticker in split
        )
        names = dataset.class_names
    elif path.suffix == ".jsonl" and path.is_file():
        lines, bad = parse(path, json_lines(path), _Line)
        if bad:
            raise InterpreterError(
                f"{path} has {len(bad)} lines that are no text of an image (first: {bad[0].where}); correct them"
            )
        rows = tuple(TextOfImage(path.parent / line.image, line.text, line.label) for _, line in lines)
        said = {row.label for row in rows if row.label}
        names = tuple(sorted(said)) if said - set(SER30K_CLASSES) else SER30K_CLASSES
    else:
        raise InterpreterError(f"{path} holds no texts; give a .jsonl file of texts or a data set's folder")
    if not any(row.text.strip() for row in rows):
        raise InterpreterError(f"{path} has no texts; make them with `mghft-export interpret`")
    return Texts(rows, names)
