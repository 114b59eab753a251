"""The sets that come with the project are consistent, licensed, and the builder draws what is recorded."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import io
import json
import tarfile
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mghft_export.errors import MGHFTError
from mghft_export.stickers.dataset import load_dataset
from mghft_export.stickers.views import split_views

CALIBRATION = Path(__file__).parents[2] / "calibration"
EMOJI, SMALL = CALIBRATION / "emoji", CALIBRATION / "stickers-small"
SPLITS = ("train", "val", "test")


def annotations(root: Path) -> dict[str, list[dict[str, Any]]]:
    folder = root / "Annotations_mg" / "image-level"
    return {
        split: json.loads((folder / f"{split}.json").read_text("utf-8"))["annotations"] for split in SPLITS
    }


def mapping() -> dict[str, dict[str, str]]:
    with (EMOJI / "mapping.csv").open(encoding="utf-8", newline="") as lines:
        return {row["hexcode"]: row for row in csv.DictReader(lines)}


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_emoji_set", CALIBRATION / "build_emoji_set.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while it is being executed.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


def test_no_emoji_family_is_in_two_splits() -> None:
    splits_of = defaultdict(set)
    for row in mapping().values():
        splits_of[row["family"]].add(row["split"])
    assert all(len(splits) == 1 for splits in splits_of.values())


def test_annotations_agree_with_the_mapping() -> None:
    emoji = mapping()
    for split, rows in annotations(EMOJI).items():
        for row in rows:
            of_emoji = emoji[row["file_name"].removesuffix(".png")]
            assert of_emoji["split"] == split
            assert int(of_emoji["label"]) == row["anno"] == row["anno1"] == row["anno3"]
            assert int(of_emoji["second_label"] or of_emoji["label"]) == row["anno2"]


def test_every_annotation_has_a_recorded_drawing_and_the_reverse() -> None:
    recorded = {
        (style, f"{code}.png")
        for style, hashes in json.loads((EMOJI / "pixels.json").read_text()).items()
        for code in hashes
    }
    listed = Counter((row["topic"], row["file_name"]) for rows in annotations(EMOJI).values() for row in rows)
    assert set(listed) == recorded
    assert max(listed.values()) == 1
    assert len(listed) == 1290


def test_every_text_has_its_four_views() -> None:
    for rows in annotations(EMOJI).values():
        assert not any(split_views(row["text"]).missing for row in rows)


def test_small_set_loads_clean_in_every_class_and_permissive_style() -> None:
    stickers = load_dataset(SMALL)
    assert {split: len(rows) for split, rows in stickers.splits.items()} == {
        "train": 28,
        "val": 8,
        "test": 24,
    }
    for rows in stickers.splits.values():
        assert {row.label for row in rows} == set(range(7))
        assert {row.topic for row in rows} == {"twemoji", "noto", "fluent_3d", "fluent_flat"}
    listed = {row.image for rows in stickers.splits.values() for row in rows}
    assert listed == set((SMALL / "Images").rglob("*.png"))


def test_small_set_is_part_of_the_emoji_set(builder: ModuleType) -> None:
    whole = annotations(EMOJI)
    hashes = json.loads((EMOJI / "pixels.json").read_text())
    for split, rows in annotations(SMALL).items():
        for row in rows:
            assert row in whole[split]
            with Image.open(SMALL / "Images" / row["topic"] / row["file_name"]) as image:
                assert image.size == (256, 256)
                code = row["file_name"].removesuffix(".png")
                assert builder.pixel_hash(image) == hashes[row["topic"]][code]


@pytest.mark.parametrize("root", [EMOJI, SMALL], ids=["emoji", "small"])
def test_every_style_has_its_licence_and_every_named_text_is_there(root: Path) -> None:
    licences = (root / "LICENSES.md").read_text("utf-8")
    styles = {row["topic"] for rows in annotations(root).values() for row in rows}
    assert {
        line.removeprefix("## Images/") for line in licences.splitlines() if "## Images/" in line
    } == styles
    named = {word.strip(",") for word in licences.split() if word.startswith("licenses/")}
    assert named == {f"licenses/{file.name}" for file in (root / "licenses").iterdir()}


def test_small_set_stays_small() -> None:
    assert sum(file.stat().st_size for file in SMALL.rglob("*") if file.is_file()) < 3_000_000


def test_sources_are_those_that_the_licences_name() -> None:
    licences = (EMOJI / "LICENSES.md").read_text("utf-8")
    for style, source in json.loads((CALIBRATION / "emoji_sources.json").read_text()).items():
        section = licences.split(f"## Images/{style}\n")[1].split("\n## ")[0]
        assert f"{source['package']} {source['version']} (npm)" in section


def test_tarball_that_is_not_the_published_one_is_refused(builder: ModuleType, tmp_path: Path) -> None:
    content = b"a package"
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    source = builder.Source("@scope/name", "1.0.0", integrity)
    tarball = tmp_path / "scope-name-1.0.0.tgz"
    tarball.write_bytes(content)
    assert builder.download(source, tmp_path) == tarball
    tarball.write_bytes(content + b" and more")
    with pytest.raises(MGHFTError, match=r"not @scope/name@1\.0\.0 as published"):
        builder.download(source, tmp_path)


def test_colours_are_rounded_to_6_bits_and_unseen_pixels_are_black(builder: ModuleType) -> None:
    pixels = np.array([[[1, 2, 255, 7], [9, 8, 7, 0]]], np.uint8)
    rounded = np.asarray(builder.finish(Image.fromarray(pixels), "noto"))
    assert rounded.tolist() == [[[0, 4, 255, 7], [0, 0, 0, 0]]]
    assert np.array_equal(np.asarray(builder.finish(Image.fromarray(pixels), "twemoji")), pixels)


def test_webp_drawings_are_found_whether_or_not_packages_write_fe0f(
    builder: ModuleType, tmp_path: Path
) -> None:
    drawing = io.BytesIO()
    Image.new("RGBA", (256, 256), (10, 20, 30, 255)).save(drawing, format="WEBP", lossless=True)
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        entry = tarfile.TarInfo("package/assets/2764-fe0f.webp")
        entry.size = drawing.tell()
        drawing.seek(0)
        archive.addfile(entry, drawing)
    image = builder.drawing_of("fluent_3d", tmp_path / "package.tgz")("2764")
    assert image.getpixel((0, 0)) == (10, 20, 30, 255)


def test_svg_is_rendered_at_256_with_mirrored_aliases(builder: ModuleType) -> None:
    pytest.importorskip("resvg_py", reason="the SVG renderer is not installed")
    icons = {
        "width": 32,
        "height": 32,
        "icons": {"left": {"body": '<path fill="#f00" d="M0 0h16v32H0z"/>'}},
        "aliases": {"right": {"parent": "left", "hFlip": True}},
    }
    left, right = (builder.render(builder.iconify_svg(icons, name)) for name in ("left", "right"))
    assert left.size == (256, 256)
    assert (left.getpixel((60, 99)), left.getpixel((200, 99))) == ((255, 0, 0, 255), (0, 0, 0, 0))
    assert np.array_equal(np.asarray(right), np.asarray(left)[:, ::-1])
