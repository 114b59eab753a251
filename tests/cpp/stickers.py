"""The small set's stickers, and what `mghft-run` says of them."""

from __future__ import annotations

import json
from pathlib import Path

from cpp.conftest import Programs, call


def small_set_stickers(small_set: Path) -> list[tuple[Path, str]]:
    """Image and text of the whole set."""
    found = []
    for split in sorted((small_set / "Annotations_mg" / "image-level").glob("*.json")):
        for row in json.loads(split.read_text())["annotations"]:
            found.append((small_set / "Images" / row["topic"] / row["file_name"], row["text"]))
    assert len(found) == len(list((small_set / "Images").rglob("*.png"))) == 60
    return found


def cpp_rows(
    programs: Programs, bundle: Path, stickers: list[tuple[Path, str]], *options: object
) -> list[dict]:
    """Its JSON with logits, a row for each sticker; the options say where the texts come from."""
    images = [image for image, _ in stickers]
    found = call(programs.run, "predict", bundle, *images, "--json", "--logits", *options)
    return [json.loads(line) for line in found.stdout.splitlines()]
