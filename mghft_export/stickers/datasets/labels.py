"""Turn labels as data sets write them (numbers from 0 or 1, names, "4(sorrow)") into class indices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from mghft_export.errors import DataError
from mghft_export.stickers.datasets.files import read_json
from mghft_export.stickers.datasets.names import normal_name

SER30K_CLASSES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
"""Numbered from 1, in the order of the released model's logits (MGHFT, arXiv 2507.18929)."""

MET_MEME_CLASSES = ("happiness", "love", "anger", "sorrow", "fear", "hate", "surprise")
"""The sentiment categories, numbered from 1 (MET-Meme, SIGIR 2022)."""

_NUMBERED_NAME = re.compile(r"(\d+)\s*\((.+)\)")  # MET-Meme writes "4(sorrow)"

_CLASS_FILE: TypeAdapter[list[str] | dict[int, str]] = TypeAdapter(list[str] | dict[int, str])


@dataclass(frozen=True)
class Labels:
    """The classes of a data set and the ways in which its files may name them."""

    class_names: tuple[str, ...]
    first_number: int | None = 0
    """The number that the files give to the first class; None if numbers do not name classes."""
    label_map: Mapping[str, str] = field(default_factory=dict)
    """Label in a file -> the name of a class. It is applied first."""

    def index(self, label: int | str) -> int | None:
        """The class index of a label; None if the label is not known."""
        name = apply_map(self.label_map, str(label))
        for index, class_name in enumerate(self.class_names):
            if normal_name(class_name) == normal_name(name):
                return index
        if self.first_number is None or not re.fullmatch(r"[0-9]{1,9}", name):
            return None
        index = int(name) - self.first_number
        return index if 0 <= index < len(self.class_names) else None


def apply_map(label_map: Mapping[str, str], label: str) -> str:
    """The class name of a label: the name it is mapped to, or its own name, without a number as in "4(sorrow)"."""
    said = label.strip()
    numbered = _NUMBERED_NAME.fullmatch(said)
    name = numbered[2].strip() if numbered else said
    by_name = {normal_name(key): value for key, value in label_map.items()}
    return by_name.get(normal_name(said), by_name.get(normal_name(name), name))


def labels_of_root(
    root: Path, default: tuple[str, ...], *, first_number: int, label_map: Mapping[str, str]
) -> Labels:
    """The classes of ``classes.json`` if there is one, or else of the label map, or else the layout's own.

    Raises:
        DataError: ``classes.json`` is not a list of names or a mapping of consecutive numbers to names.
    """
    if (root / "classes.json").is_file():
        return read_classes(root / "classes.json", label_map)
    if label_map and not set(label_map.values()) <= set(default):
        # The files' numbers count the layout's own classes, which do not apply here, so only mapped labels count.
        return Labels(_named_classes(label_map.values()), None, label_map)
    return Labels(default, first_number, label_map)


def _named_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Order class names: SER30K's classes if all names are among them, or else the names, sorted."""
    found = set(names)
    return SER30K_CLASSES if found <= set(SER30K_CLASSES) else tuple(sorted(found))


def read_classes(file: Path, label_map: Mapping[str, str]) -> Labels:
    """Read ``["anger", ...]`` (numbered from 0) or ``{"1": "anger", ...}`` (numbered as the file says).

    Raises:
        DataError: the file is neither, a name occurs twice, or the numbers have a gap.
    """
    try:
        classes = _CLASS_FILE.validate_python(read_json(file))
    except ValidationError as error:
        raise DataError(
            f'{file} names no classes; write a list of names or a mapping such as {{"1": "anger"}}'
        ) from error
    numbered = dict(enumerate(classes)) if isinstance(classes, list) else dict(sorted(classes.items()))
    names, numbers = tuple(numbered.values()), list(numbered)
    if not names or len({normal_name(name) for name in names}) < len(names):
        raise DataError(f"{file} needs one or more different class names; correct it")
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise DataError(f"the class numbers of {file} have a gap; number the classes consecutively")
    return Labels(names, numbers[0], label_map)
