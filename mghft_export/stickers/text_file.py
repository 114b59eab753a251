"""Texts of stickers from a file: plain text, JSON lines, or SER30K annotations."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from mghft_export.errors import StickerError


class _Line(BaseModel):
    """One line of JSONL."""

    image: str
    text: str


class _Annotation(BaseModel):
    """One sticker of SER30K's annotations."""

    file_name: str
    text: str


class _Annotations(BaseModel):
    annotations: list[_Annotation]


def read_texts(path: Path) -> dict[str, str] | str:
    """Texts by the image's file name; or one text for all images, if the file is plain text.

    Args:
        path: `.jsonl` with `{"image": ..., "text": ...}` a line, `.json` as SER30K's annotations, else plain text.

    Raises:
        StickerError: the file cannot be read, or is empty or malformed.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StickerError(f"there is no text file at {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise StickerError(f"{path} cannot be read as UTF-8 text") from error
    if not content.strip():
        raise StickerError(f"{path} is empty; write the sticker's text into it")
    try:
        if path.suffix == ".jsonl":
            rows = [TypeAdapter(_Line).validate_json(line) for line in content.splitlines() if line.strip()]
            return {Path(row.image).name: row.text for row in rows}
        if path.suffix == ".json":
            annotations = _Annotations.model_validate(json.loads(content)).annotations
            return {row.file_name: row.text for row in annotations}
    except (ValidationError, ValueError) as error:
        raise StickerError(
            f"{path} is malformed; expected an image and a text a line (.jsonl) or SER30K annotations (.json)"
        ) from error
    return content.strip()
