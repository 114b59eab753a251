"""One folder for each class (``happiness/*.png``), in the data set's folder, in ``images/``, or in a folder per split.

A text may be beside its image, in a file with the same name and the suffix ``.txt``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mghft_export.errors import DataError
from mghft_export.stickers.datasets.plain_folder import IMAGE_FOLDERS, SPLIT_NAMES, labels_of_rows
from mghft_export.stickers.datasets.problems import Finding, ProblemKind
from mghft_export.stickers.datasets.table import SPLITS, WHOLE, Row, Table
from mghft_export.stickers.image_files import images_below


def is_class_folders(root: Path) -> bool:
    """Whether the folder has folders with images."""
    return any(images_below(folder) for base in _bases(root).values() for folder in _folders(base))


def read_class_folders(
    root: Path, label_map: Mapping[str, str], columns: Mapping[str, str] | None = None
) -> Table:
    """Read one folder for each class. The names of the folders are the labels.

    Raises:
        DataError: there are no folders of images, columns were named, or the labels are numbers without names.
    """
    if columns:
        raise DataError(f"{root} has no table, only folders of images; leave out --columns")
    if not root.is_dir() or not is_class_folders(root):
        raise DataError(f"{root} has no folders of images, one a class; make some, or write a table")
    found = [
        (split, base, folder.name, image)
        for split, base in _bases(root).items()
        for folder in _folders(base)
        for image in images_below(folder)
    ]
    texts = {image: image.with_suffix(".txt") for *_, image in found if image.with_suffix(".txt").is_file()}
    rows: list[Row] = []
    unreadable: list[Finding] = []
    for split, base, label, image in found:
        inside = image.relative_to(base).as_posix()
        source = f"{base.name}/{inside}"
        try:
            text = texts[image].read_text(encoding="utf-8-sig") if image in texts else ""
        except (OSError, UnicodeDecodeError):
            unreadable.append(Finding(ProblemKind.UNREADABLE_ROW, f"{source}: its text is not UTF-8"))
            continue
        rows.append(Row(split, base, inside, text if texts else None, label, "", source))
    notes = (
        ()
        if texts
        else (f"{root} has no texts: no file like {found[0][3].with_suffix('.txt').name} beside an image",)
    )
    return Table(
        tuple(rows), tuple(unreadable), labels_of_rows(root, (row.label for row in rows), label_map), notes
    )


def _bases(root: Path) -> dict[str, Path]:
    """Split -> the folder that holds its class folders."""
    base = next((root / name for name in IMAGE_FOLDERS if _folders(root / name)), root)
    by_name = {
        SPLIT_NAMES[folder.name.casefold()]: folder
        for folder in _folders(base)
        if folder.name.casefold() in SPLIT_NAMES
    }
    splits = {split: by_name[split] for split in SPLITS if split in by_name and _folders(by_name[split])}
    return splits or {WHOLE: base}


def _folders(base: Path) -> list[Path]:
    if not base.is_dir():
        return []
    return sorted(folder for folder in base.iterdir() if folder.is_dir() and not folder.name.startswith("."))
