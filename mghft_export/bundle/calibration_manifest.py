"""The manifest of a calibration set: the data set that it was drawn from, and an entry for each sticker."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from mghft_export.errors import DataError
from mghft_export.files.stored_json import Stored, parse_stored, stored_text

SCHEMA_VERSION: Literal[1] = 1
MANIFEST = "manifest.json"


class StickerEntry(Stored):
    """One sticker."""

    path: str = Field(pattern=r"^[^\x00]+$")
    """Path of the image inside the set."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=1)
    source: str
    """Where the image was in the data set."""
    topic: str
    label: str
    text: str


class CalibrationManifest(Stored):
    """The content of a calibration set's `manifest.json`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    data_set: str
    split: Literal["train"] = "train"
    seed: int
    class_names: tuple[str, ...]
    class_counts: dict[str, int]
    topic_counts: dict[str, int]
    set_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    """:func:`set_hash` of the stickers."""
    stickers: tuple[StickerEntry, ...]
    """In the order in which they were drawn, so that the first few are a sample of the data set, too."""


def set_hash(stickers: Sequence[StickerEntry]) -> str:
    """One SHA-256 of all that a calibration depends on: images, texts and labels in their order, but not paths."""
    content = [[sticker.sha256, sticker.text, sticker.label] for sticker in stickers]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def make_manifest(
    stickers: Sequence[StickerEntry], *, data_set: str, seed: int, class_names: Sequence[str]
) -> CalibrationManifest:
    """The manifest of some stickers, counted and hashed."""
    return CalibrationManifest(
        data_set=data_set,
        seed=seed,
        class_names=tuple(class_names),
        class_counts=_class_counts(stickers, class_names),
        topic_counts=_topic_counts(stickers),
        set_hash=set_hash(stickers),
        stickers=tuple(stickers),
    )


def write_manifest(root: Path, manifest: CalibrationManifest) -> None:
    """Write `manifest.json` into a set's folder."""
    (root / MANIFEST).write_text(stored_text(manifest), encoding="utf-8")


def read_manifest(root: Path) -> CalibrationManifest:
    """Read a set's manifest, and check that its counts and its hash match its stickers.

    Raises:
        DataError: there is none, it is damaged or of another version, or it was changed by hand.
    """
    path = root / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"{root} is not a calibration set; make one with `mghft-export calibrate --data ROOT -o {root}`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read; sample the set again") from error
    manifest = parse_stored(
        text, CalibrationManifest, path=path, advice="sample the set again", error=DataError
    )
    _check_stickers(path, manifest)
    return manifest


def _check_stickers(path: Path, manifest: CalibrationManifest) -> None:
    if not manifest.stickers:
        raise DataError(f"{path} lists no stickers; sample the set again")
    for sticker in manifest.stickers:
        if sticker.label not in manifest.class_names:
            raise DataError(
                f"{path} labels {sticker.path} {sticker.label!r}, which is none of its classes "
                f"({', '.join(manifest.class_names)}); sample the set again"
            )
        if not sticker.text.strip():
            raise DataError(f"{path} has no text for {sticker.path}; sample the set again")
    repeated = next(
        (name for name, n in Counter(item.path for item in manifest.stickers).items() if n > 1), None
    )
    if repeated is not None:
        raise DataError(f"{path} lists {repeated} twice; sample the set again")
    counts = _class_counts(manifest.stickers, manifest.class_names), _topic_counts(manifest.stickers)
    if (manifest.class_counts, manifest.topic_counts) != counts:
        raise DataError(f"the counts of {path} are not those of its stickers; sample the set again")
    if set_hash(manifest.stickers) != manifest.set_hash:
        raise DataError(
            f"the texts, labels or hashes in {path} were changed after the sampling; sample the set again"
        )


def _class_counts(stickers: Sequence[StickerEntry], class_names: Sequence[str]) -> dict[str, int]:
    """Stickers by class, in the order of the classes. A class without stickers counts 0."""
    counts = Counter(sticker.label for sticker in stickers)
    return {name: counts[name] for name in class_names}


def _topic_counts(stickers: Sequence[StickerEntry]) -> dict[str, int]:
    return dict(sorted(Counter(sticker.topic for sticker in stickers).items()))
