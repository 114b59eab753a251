"""Builds the set that mghft-mini's pyramid is pretrained on: drawings of all emoji, labelled by which emoji they show.

    pip install resvg-py==0.5.0
    python calibration/build_pretraining_set.py OUT

It has nine styles under CC BY 4.0, Apache-2.0 or MIT, without OpenMoji, which measures an unseen style. It leaves out
the emoji of the emoji set's validation and test splits, and their relatives (skin tones, genders). It needs npm,
downloads 30 MB once and checks every package against its SHA-512.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import click
from build_emoji_set import (
    ANNOTATIONS,
    FOLDERS,
    HERE,
    build_or_exit,
    cache_option,
    download,
    iconify_svg,
    is_webp,
    load_collection,
    read_folder,
    read_sources,
    read_webp,
    render,
    same_emoji,
)
from PIL import Image
from rich.progress import track

from mghft_export.files.atomic import replacing_file

SIZE = 112
STYLES = (
    *("twemoji", "noto", "fluent_3d", "fluent_flat"),
    *("noto_v1", "emojione", "emojione_monotone", "fluent_high_contrast", "streamline"),
)
"""The emoji set's training styles first. For collections with only names, Noto's collection gives the code points."""

LEAST_STYLES = 3
"""Fewest styles of an emoji; fewer drawings teach little about what its styles have in common."""

VALIDATION = 16
"""Every sixteenth drawing is in the validation split."""

JOINER, SKIN_TONES = "200d", {f"1f3f{digit}" for digit in "bcdef"}


def is_wanted(code: str, held_out: frozenset[str]) -> bool:
    """Whether an emoji is in the set: no flag, no sequence of emoji, no skin tone, no relative of a held-out one."""
    points = code.split("-")
    flag = points[0].startswith("1f1") and len(points) == 2
    return not (flag or JOINER in points or SKIN_TONES & set(points) or points[0] in held_out)


def held_out_emoji() -> frozenset[str]:
    """First code points of the emoji that are not in the train split."""
    with (ANNOTATIONS / "mapping.csv").open(encoding="utf-8", newline="") as lines:
        return frozenset(
            same_emoji(row["hexcode"]).split("-")[0]
            for row in csv.DictReader(lines)
            if row["split"] != "train"
        )


def drawings(style: str, tarball: Path, names: dict[str, str]) -> dict[str, bytes]:
    """The drawings (SVG or WebP) of one package, by emoji.

    Args:
        names: code points by Iconify's name of the emoji, for collections that have only names.
    """
    if style in FOLDERS:
        return read_folder(tarball, FOLDERS[style])
    icons, characters = load_collection(tarball)
    found = {same_emoji(code): icon for code, icon in characters.items()}
    if not found:
        found = {names[icon]: icon for icon in icons["icons"] if icon in names}
    return {code: iconify_svg(icons, icon).encode() for code, icon in found.items()}


def build(out: Path, cache: Path) -> int:
    """Make the missing drawings and write the annotations; return the number of drawings in the set.

    Raises:
        MGHFTError: a package cannot be downloaded or is not the expected one.
    """
    sources = read_sources(HERE / "pretraining_sources.json")
    held_out = held_out_emoji()
    _, characters = load_collection(download(sources["noto"], cache))
    names = {icon: same_emoji(code) for code, icon in characters.items()}
    by_code: dict[str, dict[str, bytes]] = {}
    for style in STYLES:
        for code, drawing in drawings(style, download(sources[style], cache), names).items():
            if is_wanted(code, held_out):
                by_code.setdefault(code, {})[style] = drawing
    by_code = {code: found for code, found in sorted(by_code.items()) if len(found) >= LEAST_STYLES}
    rows = [
        {"topic": style, "file_name": f"{code}.png", "anno": number}
        for number, (code, found) in enumerate(by_code.items(), start=1)
        for style in STYLES
        if style in found
    ]
    for row in track(rows, description="drawing"):
        file = out / "Images" / row["topic"] / row["file_name"]
        if not file.exists():
            image = draw(by_code[Path(row["file_name"]).stem][row["topic"]])
            with replacing_file(file) as partial:
                image.save(partial, format="PNG")
    _write(out / "classes.json", dict(enumerate(by_code, start=1)))
    for split, chosen in {
        "train": [row for number, row in enumerate(rows) if number % VALIDATION],
        "val": rows[::VALIDATION],
    }.items():
        _write(out / "Annotations_mg" / "image-level" / f"{split}.json", {"annotations": chosen})
    return len(rows)


def draw(drawing: bytes) -> Image.Image:
    """The drawing as [112, 112] RGBA."""
    if is_webp(drawing):
        return read_webp(drawing).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return render(drawing.decode(), SIZE)


def _write(path: Path, content: object) -> None:
    with replacing_file(path) as partial:
        partial.write_text(json.dumps(content) + "\n", encoding="utf-8")


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@cache_option
def main(out: Path, cache: Path) -> None:
    """Build the pretraining set in OUT, in SER30K's layout."""
    count = build_or_exit(build, out, cache)
    click.echo(f"{count} drawings; train on them with: mghft-export train {out} --recipe mini-pretraining")


if __name__ == "__main__":
    main()
