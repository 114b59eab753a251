"""Text features of strangers: one sentence each, and memory in proportion to the file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from strangers.feature_files import archive, npy, sound, write_hostile

from mghft_export.bundle import Bundle, load_bundle
from mghft_export.bundle.text_features import load_features, text_branch_id
from mghft_export.errors import StickerError


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return load_bundle(tiny_bundle)


def width_of(bundle: Bundle) -> int:
    width = bundle.manifest.model["embed_dims"][3]
    return int(width)


def test_each_is_one_sentence(bundle: Bundle, tmp_path: Path) -> None:
    found = write_hostile(tmp_path, text_branch_id(bundle), width_of(bundle))
    assert len(found) >= 20
    for path, said in found.items():
        with pytest.raises(StickerError) as caught:
            load_features(path, bundle)
        assert str(caught.value) == f"{path} {said}", path.name


def test_sound_features_are_read(bundle: Bundle, tmp_path: Path) -> None:
    archive(tmp_path / "a.npz", sound(text_branch_id(bundle), width_of(bundle)))
    found = load_features(tmp_path / "a.npz", bundle)
    assert found.names == ("a.png",)
    assert found.features.shape == (1, 4, width_of(bundle))


def test_a_small_file_does_not_fill_the_memory(bundle: Bundle, tmp_path: Path) -> None:
    """Of 400 MB of zeros nothing is read, neither where they are compressed nor where they are another branch's."""
    width = width_of(bundle)
    zeros = np.broadcast_to(np.float32(0), (400_000_000 // (16 * width), 4, width))
    members = {"names": npy(np.full(len(zeros), "a")), "features": npy(np.ascontiguousarray(zeros))}
    small, large = tmp_path / "small.npz", tmp_path / "large.npz"
    archive(small, {**members, "text_branch": npy(np.array(text_branch_id(bundle)))}, compressed=True)
    archive(large, {**members, "text_branch": npy(np.array("another"))})
    assert small.stat().st_size < 4_000_000
    del members, zeros
    tracemalloc.start()
    for path in (small, large):
        with pytest.raises(StickerError):
            load_features(path, bundle)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000
