"""Draws ``calibration/stickers-small`` from the emoji set that ``build_emoji_set.py`` built.

    python calibration/draw_small_set.py EMOJI_SET OUT

Each split is drawn from the same split of the emoji set: 28 stickers of train (every class in every style), 8 of val
and 24 of test (classes and styles in turn). No emoji comes twice if a class has enough of them. OpenMoji is left out,
because its licence (CC BY-SA 4.0) would apply to everything made from it.
"""

from __future__ import annotations

import json
import random
import shutil
from itertools import product
from pathlib import Path

import click

SEED = 0
SIZES = {"train": 28, "val": 8, "test": 24}
STYLES = ("twemoji", "noto", "fluent_3d", "fluent_flat")
CLASSES = range(1, 8)

Annotation = dict[str, str | int]


def draw(annotations: list[Annotation], size: int, seed: int = SEED) -> list[Annotation]:
    """Choose one annotation per cell of class x style: each round goes over all classes, with the styles shifted."""
    chance = random.Random(seed)
    rounds = [
        (label, STYLES[(label + shift) % len(STYLES)])
        for shift, label in product(range(len(STYLES)), CLASSES)
    ]
    chosen: list[Annotation] = []
    taken: set[str | int] = set()
    for label, style in rounds[:size]:
        cell = [
            row
            for row in annotations
            if row["anno"] == label and row["topic"] == style and row["file_name"] not in taken
        ]
        # A class may have too few emoji in a split; then one emoji comes again in a second style.
        row = chance.choice(
            cell or [row for row in annotations if (row["anno"], row["topic"]) == (label, style)]
        )
        taken.add(row["file_name"])
        chosen.append(row)
    return chosen


@click.command()
@click.argument("emoji_set", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
def main(emoji_set: Path, out: Path) -> None:
    """Draw stickers and their annotations from EMOJI_SET into OUT, replacing earlier ones."""
    shutil.rmtree(out / "Images", ignore_errors=True)
    for split, size in SIZES.items():
        file = Path("Annotations_mg", "image-level", f"{split}.json")
        rows = draw(json.loads((emoji_set / file).read_text(encoding="utf-8"))["annotations"], size)
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        (out / file).write_text(f'{{"annotations": [\n{lines}\n]}}\n', encoding="utf-8")
        for row in rows:
            image = Path("Images", str(row["topic"]), str(row["file_name"]))
            (out / image).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(emoji_set / image, out / image)
    shutil.copy(emoji_set / "classes.json", out / "classes.json")


if __name__ == "__main__":
    main()
