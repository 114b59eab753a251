"""Read a data set of stickers (images, texts and labels) in any of the known layouts, and check it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mghft_export.errors import DataError
from mghft_export.stickers.datasets.class_folders import is_class_folders, read_class_folders
from mghft_export.stickers.datasets.met_meme import is_met_meme, read_met_meme
from mghft_export.stickers.datasets.plain_folder import is_folder, read_folder
from mghft_export.stickers.datasets.problems import Problem, ProblemKind, summarise
from mghft_export.stickers.datasets.row_checks import check
from mghft_export.stickers.datasets.ser30k import is_ser30k, read_ser30k
from mghft_export.stickers.datasets.table import SPLITS, WHOLE

Layout = Literal["ser30k", "met-meme", "folder", "class-folders"]
Format = Literal["auto", "ser30k", "met-meme", "folder", "class-folders"]

_READERS = {
    "ser30k": read_ser30k,
    "met-meme": read_met_meme,
    "folder": read_folder,
    "class-folders": read_class_folders,
}


@dataclass(frozen=True)
class Sticker:
    """One sticker, its text and its emotion."""

    image: Path
    text: str
    """Empty only if the data set's annotations have no texts."""
    label: int
    """The class index, from 0. It is the index of the logit."""
    topic: str
    """The pack or style that it belongs to; empty if the data set has none."""


@dataclass(frozen=True)
class StickerSet:
    """A data set. It holds only stickers that can be used."""

    root: Path
    layout: Layout
    splits: Mapping[str, tuple[Sticker, ...]]
    """Stickers by split, in the order train, val, test. A data set without splits has the one split "all"."""
    class_names: tuple[str, ...]
    problems: tuple[Problem, ...]
    """The rows that were left out."""
    notes: tuple[str, ...] = ()
    """What the files lack, apart from faults of single rows: a column of texts."""

    @property
    def bad_rows(self) -> int:
        """How many rows were left out."""
        return sum(problem.count for problem in self.problems)

    def split(self, name: str) -> tuple[Sticker, ...]:
        """The stickers of one split.

        Raises:
            DataError: there is no such split.
        """
        if name not in self.splits:
            hint = f"; divide it with `mghft-export data split {self.root}`" if WHOLE in self.splits else ""
            raise DataError(f"{self.root} has no split {name!r}, only {', '.join(self.splits)}{hint}")
        return self.splits[name]


def load_dataset(
    root: Path,
    *,
    format: Format = "auto",
    label_map: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    need_texts: bool = True,
    columns: Mapping[str, str] | None = None,
) -> StickerSet:
    """Read a data set for use.

    Args:
        root: the data set's folder, or a table of it.
        format: its layout; "auto" detects it.
        label_map: labels in the files -> names of classes, for data sets with other names.
        columns: names of a table's columns, if they are not image, text, label, split and topic.
        skip_bad: leave out bad rows instead of refusing the data set. An image in two splits stays in test, or else in
            val. An image that is listed twice in a split stays with its first row.
        need_texts: treat a row without a text as a bad row.

    Raises:
        DataError: there is no data set, it has bad rows and ``skip_bad`` is not set, or all its rows are bad.
    """
    stickers = scan_dataset(root, format=format, label_map=label_map, need_texts=need_texts, columns=columns)
    require_usable(stickers, skip_bad=skip_bad)
    return stickers


def scan_dataset(
    root: Path,
    *,
    format: Format = "auto",
    label_map: Mapping[str, str] | None = None,
    need_texts: bool = True,
    columns: Mapping[str, str] | None = None,
) -> StickerSet:
    """Read a data set to report on it. It may have any number of bad rows.

    Raises:
        DataError: there is no data set, or one of its files cannot be read at all.
    """
    if not root.exists():
        raise DataError(f"there is no folder {root}; give the folder of a data set, or a table of it")
    if root.is_file() and format not in ("auto", "folder"):
        raise DataError(f"{root} is a file; give the folder of a data set of the format {format}")
    layout = find_layout(root) if format == "auto" else format
    table = _READERS[layout](root, label_map or {}, columns)
    if not need_texts:
        rows_with_any_text = (replace(row, text=(row.text or "").strip() or None) for row in table.rows)
        table = replace(table, rows=tuple(rows_with_any_text))
    rows, findings = check(table)
    by_split: dict[str, list[Sticker]] = {}
    for split in (*SPLITS, WHOLE):
        if any(row.split == split for row in table.rows):
            by_split[split] = []
    for row in rows:
        by_split[row.row.split].append(Sticker(row.image, row.row.text or "", row.label, row.row.topic))
    splits = {split: tuple(stickers) for split, stickers in by_split.items()}
    folder = root if root.is_dir() else root.parent
    names = table.labels.class_names
    return StickerSet(folder, layout, splits, names, summarise(findings), table.notes)


def find_layout(root: Path) -> Layout:
    """The layout of a folder.

    Raises:
        DataError: the folder has no known layout.
    """
    if root.is_file():
        return "folder"
    if is_ser30k(root):
        return "ser30k"
    if is_met_meme(root):
        return "met-meme"
    if is_folder(root):
        return "folder"
    if is_class_folders(root):
        return "class-folders"
    raise DataError(
        f"{root} is no known data set; it needs a table (labels.csv, train.jsonl, ...) with the columns image, text "
        "and label, a folder of images for each class, Annotations_mg/ (SER30K), or label_E.csv (MET-Meme)"
    )


def require_usable(stickers: StickerSet, *, skip_bad: bool) -> None:
    """Refuse a data set with bad rows, unless they may be skipped and good rows are left.

    Raises:
        DataError: it is refused; the message says how many rows of which kind are bad.
    """
    kinds = ", ".join(f"{problem.kind.value}: {problem.count}" for problem in stickers.problems)
    if not any(stickers.splits.values()):
        raise DataError(
            f"{stickers.root} has no usable sticker ({kinds or 'no rows'}); {_remedy(stickers.problems)}"
        )
    if stickers.problems and not skip_bad:
        raise DataError(
            f"{stickers.root} has {stickers.bad_rows} bad rows ({kinds}; first: "
            f"{stickers.problems[0].examples[0]}); correct them or leave them out with skip_bad (--skip-bad)"
        )


def _remedy(problems: tuple[Problem, ...]) -> str:
    """What to do if no row can be used."""
    most = max(problems, key=lambda problem: problem.count).kind if problems else None
    if most is ProblemKind.UNKNOWN_LABEL:
        return "name the classes in classes.json, or map the labels with --class-map"
    if most is ProblemKind.EMPTY_TEXT:
        return "write their texts, or let `mghft-export interpret` do it"
    return "check the paths of its files"
