"""Writes texts in the forms that other commands read: JSON lines, or a data set in SER30K's or a folder's layout."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mghft_export import __version__
from mghft_export.errors import InterpreterError
from mghft_export.files.atomic import replacing_file, replacing_folder
from mghft_export.interpretation.corpus import Corpus, Item
from mghft_export.interpretation.record import Source
from mghft_export.stickers.dataset import StickerSet
from mghft_export.stickers.datasets.ser30k import MULTI_VIEW, annotation_files, read_annotations
from mghft_export.stickers.datasets.table import WHOLE

PROVENANCE = "interpretation.json"
"""The file in a data set's folder with model, prompt version, language and counts; it marks folders made here."""

TextOf = Callable[[Path], "str | None"]
"""The text of an image, or None if it has no text."""


def check_output(output: Path, data: Path | None, journals: Iterable[Path]) -> None:
    """Refuse, before any work, an output that cannot be written, or that would replace the data set or a journal.

    Args:
        data: the data set's folder, if a data set is described.

    Raises:
        InterpreterError: the output overlaps the data set, would replace a journal, holds something else, or is a
            folder although no data set is described.
    """
    try:
        output.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InterpreterError(f"cannot write {output}: {error.strerror}; choose another -o") from error
    place = output.resolve()
    if data is not None:
        used = data.resolve(), (data / "Images").resolve()
        if _is_in(place, used[0]) or any(_is_in(folder, place) for folder in used):
            raise InterpreterError(
                f"{output} and the data set {data}: one contains the other; choose a place beside the data set with -o"
            )
    for journal in journals:
        if _is_in(journal.resolve(), place):
            raise InterpreterError(
                f"{output} would replace the journal {journal}; choose another place with -o"
            )
    if output.suffix == ".jsonl":
        if output.is_dir():
            raise InterpreterError(f"{output} is a folder; choose another name for the texts with -o")
        return
    if data is None:
        raise InterpreterError(
            f"{output} does not end in .jsonl; write the texts to a .jsonl file, "
            "or give --data ROOT for a data set"
        )
    if output.is_file() or (
        output.is_dir() and any(output.iterdir()) and not (output / PROVENANCE).is_file()
    ):
        raise InterpreterError(f"{output} is there and holds something else; choose a new folder with -o")


def _is_in(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def default_journal(output: Path) -> Path:
    """The journal beside the output; `texts.jsonl` and a folder `texts` share one, so both use its descriptions.

    Raises:
        InterpreterError: the output is the current folder or the one above.
    """
    if output.name in ("", ".."):
        raise InterpreterError(f"{output} does not name a new file or folder; choose one with -o")
    stem = output.with_suffix("") if output.suffix == ".jsonl" else output
    return stem.with_name(f"{stem.name}.journal.jsonl")


def write_texts(output: Path, corpus: Corpus, text_of: TextOf, source: Source) -> int:
    """Write a `.jsonl` file, or else a data set's folder; return how many stickers are in it.

    Raises:
        MGHFTError: it cannot be written.
    """
    if output.suffix == ".jsonl":
        with replacing_file(output) as partial:
            base = output.resolve().parent
            return _write_lines(partial, (_row(item, base, text_of) for item in corpus.items))
    assert corpus.dataset is not None
    with replacing_folder(output) as partial:
        count = _write_dataset(partial, corpus, corpus.dataset, text_of)
        provenance = {"producer": f"mghft-export {__version__}", **asdict(source), "stickers": count}
        _write_json(partial / PROVENANCE, provenance)
        return count


def _row(item: Item, base: Path, text_of: TextOf) -> dict[str, Any] | None:
    text = text_of(item.image)
    if text is None:
        return None
    path = Path(os.path.abspath(item.image))  # noqa: PTH100 (resolve would follow links out of the folder)
    image = path.relative_to(base) if path.is_relative_to(base) else path
    extra = {"label": item.label, "topic": item.topic, "split": item.split}
    return {"image": image.as_posix(), "text": text} | {key: value for key, value in extra.items() if value}


def _write_dataset(folder: Path, corpus: Corpus, dataset: StickerSet, text_of: TextOf) -> int:
    root = dataset.root.resolve()
    if dataset.layout == "ser30k":
        (folder / "Images").symlink_to((root / "Images").resolve(), target_is_directory=True)
        if (root / "classes.json").is_file():
            (folder / "classes.json").write_bytes((root / "classes.json").read_bytes())
        kept = {(item.split, os.path.normpath(item.image)) for item in corpus.items}
        return sum(
            _write_annotations(
                folder / MULTI_VIEW / "image-level" / f"{split}.json", file, split, kept, text_of
            )
            for split, file in annotation_files(dataset.root).items()
        )
    (folder / "Images").symlink_to(root, target_is_directory=True)
    _write_json(folder / "classes.json", list(dataset.class_names))
    count = 0
    for split in dataset.splits:
        rows = (_linked_row(item, dataset.root, text_of) for item in corpus.items if item.split == split)
        count += _write_lines(folder / f"{'data' if split == WHOLE else split}.jsonl", rows)
    return count


def _linked_row(item: Item, root: Path, text_of: TextOf) -> dict[str, Any] | None:
    text = text_of(item.image)
    if text is None:
        return None
    image = Path("Images") / os.path.relpath(item.image, root)
    return {"image": image.as_posix(), "text": text, "label": item.label} | (
        {"topic": item.topic} if item.topic else {}
    )


def _write_annotations(
    target: Path, source: Path, split: str, kept: set[tuple[str, str]], text_of: TextOf
) -> int:
    """SER30K's own annotations with new texts; labels and all else stay as they were."""
    images = source.parents[2] / "Images"

    def rows() -> Iterable[dict[str, Any] | None]:
        for annotation in read_annotations(source):
            if not isinstance(annotation, dict):
                continue
            image = Path(
                os.path.normpath(images / str(annotation.get("topic")) / str(annotation.get("file_name")))
            )
            if (split, str(image)) in kept:
                kept.discard((split, str(image)))  # a second row about the same image is an error
                text = text_of(image)
                yield None if text is None else {**annotation, "text": text}

    target.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with target.open("w", encoding="utf-8") as file:
        file.write('{"annotations": [')
        for row in filter(None, rows()):
            file.write(("," if count else "") + "\n" + json.dumps(row, ensure_ascii=False))
            count += 1
        file.write("\n]}\n")
    return count


def _write_lines(path: Path, rows: Iterable[dict[str, Any] | None]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            if row is not None:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
    return count


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
