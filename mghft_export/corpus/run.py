"""Run a corpus through a model, part by part. A part is there whole or not at all, so a killed run goes on after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from mghft_export.api.model import Model
from mghft_export.corpus.sources import Source, Sticker
from mghft_export.errors import MGHFTError, StickerError
from mghft_export.files.atomic import replacing_file
from mghft_export.files.exclusive import exclusive
from mghft_export.files.stored_json import Stored, parse_stored, stored_text
from mghft_export.optional_packages import optional_module

CORPUS = "corpus.json"
ROWS_PER_PART = 4096
BATCH = 32


class CorpusEntry(Stored):
    """`corpus.json`: what a folder's parts are of. A run goes on only with the same."""

    schema_version: Literal[1] = 1
    bundle: str
    """SHA-256 of the bundle's manifest."""
    how: str
    """Precision and what runs it."""
    frame: str | int
    source: str
    """:attr:`Source.identity`."""
    rows: int
    rows_per_part: int
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class CorpusResult:
    """What a run did.

    Attributes:
        rows: of the corpus.
        before: rows that were there already.
        errors: rows of this run without a prediction.
    """

    rows: int
    before: int
    errors: int


def run_corpus(
    model: Model,
    source: Source,
    output: Path,
    entry: CorpusEntry,
    *,
    batch: int = BATCH,
    on_rows: Callable[[int], None] = lambda _: None,
) -> CorpusResult:
    """Classify all stickers of a source into `part-00000.parquet`, `part-00001.parquet`, ... of a folder.

    The columns are `row`, `image`, `label`, `probability`, `probabilities` (in the order of the classes, which the
    file's metadata names) and `error`. A sticker that cannot be classified is a row with an error.

    Args:
        entry: what the parts are of.
        batch: stickers that run together.
        on_rows: called with the number of rows that are done.

    Raises:
        MGHFTError: the folder has parts of something else, pyarrow is not installed, or the disk is full.
    """
    arrow = optional_module("pyarrow", "writing parquet files")
    parquet = optional_module("pyarrow.parquet", "writing parquet files")
    output.mkdir(parents=True, exist_ok=True)
    with exclusive(output):
        _require_same(output, entry)
        part = _first_missing(output)
        before = min(part * entry.rows_per_part, entry.rows)
        on_rows(before)
        done, errors = before, 0
        stickers = source.stickers(before)
        while done < entry.rows:
            rows: list[dict[str, Any]] = []
            for chunk in _chunks(islice(stickers, entry.rows_per_part), batch):
                rows += _classified(model, chunk, done + len(rows), entry)
                on_rows(done + len(rows))
            if not rows:
                raise MGHFTError(
                    f"the corpus ended at row {done} of {entry.rows}; it was changed meanwhile, so start into "
                    "another folder"
                )
            with replacing_file(_place(output, part)) as partial:
                parquet.write_table(arrow.Table.from_pylist(rows, _schema(arrow, entry)), partial)
            errors += sum(row["error"] is not None for row in rows)
            done, part = done + len(rows), part + 1
    return CorpusResult(entry.rows, before, errors)


def _classified(model: Model, chunk: list[Sticker], first: int, entry: CorpusEntry) -> list[dict[str, Any]]:
    found = model.predict_each(
        [item.image for item in chunk],
        [item.text for item in chunk],
        names=[item.name for item in chunk],
        frame=entry.frame,
        batch=len(chunk),
    )
    rows = []
    for number, (item, result) in enumerate(zip(chunk, found, strict=True), first):
        row: dict[str, Any] = {"row": number, "image": _unicode(item.name), "label": None, "error": None}
        if isinstance(result, StickerError):
            row["error"] = _unicode(str(result))
        else:
            row["label"] = result.label
            row["probability"] = result.probabilities[result.label]
            row["probabilities"] = list(result.probabilities.values())
        rows.append(row)
    return rows


def _unicode(text: str) -> str:
    """A text that a parquet file can hold: bytes of names that are not UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _chunks(stickers: Iterator[Sticker], size: int) -> Iterator[list[Sticker]]:
    while chunk := list(islice(stickers, size)):
        yield chunk


def _schema(arrow: Any, entry: CorpusEntry) -> Any:
    fields = [
        ("row", arrow.int64()),
        ("image", arrow.string()),
        ("label", arrow.string()),
        ("probability", arrow.float32()),
        ("probabilities", arrow.list_(arrow.float32())),
        ("error", arrow.string()),
    ]
    return arrow.schema(fields, metadata={"class_names": ",".join(entry.class_names), "bundle": entry.bundle})


def _place(output: Path, part: int) -> Path:
    return output / f"part-{part:05}.parquet"


def _first_missing(output: Path) -> int:
    part = 0
    while _place(output, part).exists():
        part += 1
    return part


def _require_same(output: Path, entry: CorpusEntry) -> None:
    """Write down what the parts are of, or check it.

    Raises:
        MGHFTError: they are of something else, or the folder has other files.
    """
    path = output / CORPUS
    if path.exists():
        advice = "start into another folder"
        earlier = parse_stored(path.read_bytes(), CorpusEntry, path=path, advice=advice, error=MGHFTError)
        for name, was in earlier:
            if was != getattr(entry, name):
                raise MGHFTError(f"{output} has parts of another run ({name} is not the same); {advice}")
        return
    if any(output.iterdir()):
        raise MGHFTError(f"{output} is a folder with other files in it; choose another place with -o")
    with replacing_file(path) as partial:
        partial.write_text(stored_text(entry), encoding="utf-8")
