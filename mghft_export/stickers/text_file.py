"""Read the texts of stickers from a file: plain text, or a table with an image and a text in each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pydantic import BaseModel

from mghft_export.errors import StickerError
from mghft_export.stickers.datasets.files import String, parse
from mghft_export.stickers.datasets.table_files import TABLES, Roles, read_table

PLAIN = (".txt", ".text", ".md", "")
"""Suffixes of plain text. A file without a suffix is plain text, too."""


class _Row(BaseModel):
    image: String
    text: String
    topic: String = ""


def read_texts(path: Path, columns: Mapping[str, str] | None = None) -> dict[str, str] | str:
    """Texts by the names of the images in the file; or one text for all images, if the file is plain text.

    Args:
        path: a table (:data:`~mghft_export.stickers.datasets.table_files.TABLES`) with the columns image (or file_name)
            and text, for example SER30K's annotations (`.json`); or plain text.
        columns: names of the columns that have other names in this file: `{"text": "caption"}`.

    Raises:
        StickerError: the file is of another kind, cannot be read, is empty or malformed, or has two texts for an image.
        DataError: a column is missing.
    """
    if not path.exists():
        raise StickerError(f"there is no text file at {path}")
    if path.suffix.lower() in TABLES:
        return _from_table(path, columns)
    if path.suffix.lower() not in PLAIN:
        raise StickerError(
            f"{path} is of a kind that is not read as texts ({path.suffix}); give plain text (.txt) or a table "
            f"({', '.join(TABLES)})"
        )
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StickerError(f"{path} cannot be read as UTF-8 text") from error
    if not content.strip():
        raise StickerError(f"{path} is empty; write the sticker's text into it")
    return content.strip()


def find_by_name(images: Sequence[Path], names: Sequence[str], source: Path) -> list[str | None]:
    """For each image, the one of `names` that means it: the image's path as given, or else the end of its path.

    If there is none, a name with the image's file name means it, too.

    Raises:
        StickerError: two names could be meant.
    """
    known = {_normal(name): name for name in names}
    by_file: dict[str, list[str]] = {}
    for name in names:
        by_file.setdefault(PurePosixPath(_normal(name)).name, []).append(name)
    found: list[str | None] = []
    for image in images:
        parts = PurePosixPath(_normal(str(image))).parts
        ends = ("/".join(parts[start:]).replace("//", "/") for start in range(len(parts)))
        exact = next((known[end] for end in ends if end in known), None)
        others = by_file.get(image.name, [])
        if exact is None and len(others) > 1:
            raise StickerError(
                f"{source} has several rows that could mean {image}: {others[0]} and {others[1]}; "
                "name the images as they are given, or give the folder above"
            )
        found.append(exact if exact is not None or not others else others[0])
    return found


def _from_table(path: Path, columns: Mapping[str, str] | None) -> dict[str, str]:
    table = read_table(path, Roles(columns or {}, required=("image", "text")))
    rows, bad = parse(path, table.records, _Row)
    if bad or not rows:
        where = f": {bad[0].where}" if bad else ": it has no rows"
        raise StickerError(f"{path} is malformed{where}; expected an image and a text a row")
    texts: dict[str, str] = {}
    for source, row in rows:
        # SER30K's annotations name the file and its folder separately.
        image = f"{row.topic}/{row.image}" if path.suffix.lower() == ".json" and row.topic else row.image
        if texts.setdefault(image, row.text) != row.text:
            raise StickerError(f"{path} has two texts for {image}; the second is in {source}: leave one")
    return texts


def _normal(name: str) -> str:
    return name.strip().replace("\\", "/").removeprefix("./")
