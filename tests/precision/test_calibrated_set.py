"""The set that a bundle was calibrated with is found again, and no other is used silently."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mghft_export.bundle import Manifest, QuantizationEntry, load_bundle
from mghft_export.errors import MGHFTError
from mghft_export.evaluation.verification.verification_stickers import calibration_stickers
from mghft_export.precision.bundle_calibration_set import calibrated_set, set_entry
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.precision.calibration.sampling import sample_stickers
from mghft_export.precision.calibration.write_set import write_calibration_set
from mghft_export.stickers.dataset import load_dataset


@pytest.fixture
def own(small_set: Path, tmp_path: Path) -> Path:
    root = tmp_path / "own"
    write_calibration_set(sample_stickers(load_dataset(small_set), 5, seed=0), root)
    return root


@pytest.fixture(scope="module")
def manifest(quantised_tiny_bundle: Path) -> Manifest:
    """Calibrated with the set that comes along."""
    return load_bundle(quantised_tiny_bundle).manifest


def calibrated(manifest: Manifest, **entries: dict[str, str]) -> Manifest:
    made = manifest.quantization["int8"]
    changes: dict[str, Any] = {
        "quantization": {
            name: QuantizationEntry(recipe=made.recipe, calibration_set=entry)
            for name, entry in entries.items()
        }
    }
    return manifest.model_copy(update=changes)


def test_the_one_that_comes_along_is_known_by_its_hash(manifest: Manifest) -> None:
    found = calibrated_set(manifest)
    assert found.root == default_calibration_set()
    assert found.name == "the default calibration set, which the bundle was calibrated with"
    assert "path" not in manifest.quantization["int8"].calibration_set  # it is elsewhere on another machine


def test_ones_own_is_found_where_it_was(manifest: Manifest, own: Path, tmp_path: Path) -> None:
    changed = calibrated(manifest, int8=set_entry(load_calibration_set(own)))
    assert calibrated_set(changed).root == own
    stickers = calibration_stickers(changed, precisions=["int8"])
    assert len(stickers.stickers) == 5
    assert stickers.source == "calibration set own, which the bundle was calibrated with"
    assert "INT8 ranges" in (stickers.remark(changed, "int8") or "")
    shutil.move(own, tmp_path / "moved")
    found = calibrated_set(changed)
    assert found.root == default_calibration_set()
    assert "set own, which the bundle was calibrated with, is not at" in found.name
    assert str(own) in found.name


def test_another_set_in_its_place_is_not_taken_for_it(manifest: Manifest, own: Path, small_set: Path) -> None:
    changed = calibrated(manifest, int8=set_entry(load_calibration_set(own)))
    shutil.rmtree(own)
    write_calibration_set(sample_stickers(load_dataset(small_set), 5, seed=1), own)
    assert calibrated_set(changed).root == default_calibration_set()


def test_bundles_that_do_not_say_where_get_the_default_one_and_are_told_so(manifest: Manifest) -> None:
    changed = calibrated(manifest, int8={"name": "mine", "sha256": "0" * 64, "stickers": "32"})
    found = calibrated_set(changed)
    assert found.root == default_calibration_set()
    assert "set mine and does not say where that is" in found.name
    nothing = manifest.model_copy(update={"quantization": {}, "magnitudes": None})
    assert "calibrated with none" in calibrated_set(nothing).name


def test_fp16_alone_has_the_set_on_which_overflows_were_looked_for(manifest: Manifest, own: Path) -> None:
    magnitudes = {"calibration_set": set_entry(load_calibration_set(own))}
    changed = manifest.model_copy(update={"quantization": {}, "magnitudes": magnitudes})
    assert calibrated_set(changed).root == own


def test_several_sets_are_not_chosen_from(manifest: Manifest, own: Path) -> None:
    default = manifest.quantization["int8"].calibration_set
    both = calibrated(manifest, **{"int8": default, "int8-fp16": set_entry(load_calibration_set(own))})
    with pytest.raises(MGHFTError, match=r"default \(int8\) and own \(int8-fp16\)"):
        calibrated_set(both)
    assert calibrated_set(both, ["int8-fp16"]).root == own
