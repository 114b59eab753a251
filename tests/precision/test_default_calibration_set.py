"""The calibration set that comes with the project is whole, licensed, small, and of train alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mghft_export.errors import DataError
from mghft_export.precision.calibration import default_set
from mghft_export.precision.calibration.calibration_set import CalibrationSet, load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.precision.calibration.held_out import check_not_held_out
from mghft_export.stickers.dataset import load_dataset

REPOSITORY = Path(__file__).parents[2]
EMOJI = REPOSITORY / "calibration" / "emoji"
STYLES = {"twemoji", "noto", "fluent_3d", "fluent_flat"}


@pytest.fixture(scope="module")
def calibration() -> CalibrationSet:
    return load_calibration_set(REPOSITORY / "calibration" / "default")


def emoji_rows(split: str) -> list[dict[str, Any]]:
    file = EMOJI / "Annotations_mg" / "image-level" / f"{split}.json"
    rows: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["annotations"]
    return rows


def test_all_classes_and_permissive_styles_are_in_it(calibration: CalibrationSet) -> None:
    assert len(calibration.stickers) == 160
    assert calibration.manifest.class_names == tuple(
        json.loads((EMOJI / "classes.json").read_text()).values()
    )
    cells = {(sticker.label, sticker.topic) for sticker in calibration.stickers}
    assert cells == {(label, style) for label in range(7) for style in STYLES}


def test_shares_of_the_classes_are_those_of_train(calibration: CalibrationSet) -> None:
    train = [row for row in emoji_rows("train") if row["topic"] in STYLES]
    for label, count in enumerate(calibration.manifest.class_counts.values(), start=1):
        share = sum(row["anno"] == label for row in train) / len(train)
        assert abs(count - 160 * share) < 1


def test_every_sticker_is_one_of_train_with_its_text_and_drawing(calibration: CalibrationSet) -> None:
    train = {(row["topic"], row["file_name"]): row for row in emoji_rows("train")}
    drawings = json.loads((EMOJI / "pixels.json").read_text())
    for sticker in calibration.stickers:
        row = train[sticker.topic, sticker.image.name]
        assert (row["text"], row["anno"]) == (sticker.text, sticker.label + 1)
        with Image.open(sticker.image) as image:
            pixels = hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()
        assert pixels == drawings[sticker.topic][sticker.image.stem]


def test_no_emoji_of_val_or_test_is_in_it_in_any_style(calibration: CalibrationSet, small_set: Path) -> None:
    held_out = {row["file_name"] for split in ("val", "test") for row in emoji_rows(split)}
    assert held_out.isdisjoint(sticker.image.name for sticker in calibration.stickers)
    check_not_held_out(calibration, load_dataset(small_set))


def test_it_holds_nothing_else_and_stays_small(calibration: CalibrationSet) -> None:
    files = {file for file in calibration.root.rglob("*") if file.is_file()}
    assert sum(file.stat().st_size for file in files) < 4_000_000
    images = {sticker.image for sticker in calibration.stickers}
    licences = set((calibration.root / "licenses").iterdir())
    assert files == images | licences | {calibration.root / name for name in ("manifest.json", "LICENSES.md")}


def test_every_style_has_its_licence_and_every_named_text_is_there(calibration: CalibrationSet) -> None:
    text = (calibration.root / "LICENSES.md").read_text("utf-8")
    headings = {
        line.removeprefix("## images/") for line in text.splitlines() if line.startswith("## images/")
    }
    assert headings == STYLES
    named = {word.strip(",") for word in text.split() if word.startswith("licenses/")}
    assert named == {f"licenses/{file.name}" for file in (calibration.root / "licenses").iterdir()}


def test_it_is_found_in_the_repository() -> None:
    assert default_calibration_set().samefile(REPOSITORY / "calibration" / "default")


def test_it_is_found_where_the_wheel_puts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed, repository = default_set.PLACES
    package = Path(default_set.__file__).parents[2]
    assert installed == package / "assets" / "calibration"
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    assert '"calibration/default" = "mghft_export/assets/calibration"' in project
    monkeypatch.setattr(default_set, "PLACES", (tmp_path, repository))
    assert default_calibration_set() == repository
    (tmp_path / "manifest.json").write_text("{}")
    assert default_calibration_set() == tmp_path


def test_installation_without_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(default_set, "PLACES", (tmp_path,))
    with pytest.raises(DataError, match="mghft-export calibrate --data ROOT"):
        default_calibration_set()
