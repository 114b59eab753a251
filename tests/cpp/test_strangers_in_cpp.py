"""What strangers send gets the same sentence from `mghft-run` as from Python."""

from __future__ import annotations

from cpp.conftest import call
from strangers.feature_files import write_hostile

from mghft_export.bundle import load_bundle
from mghft_export.runtime.features import text_branch_id


def test_features(programs, tiny_bundle, small_set, tmp_path):
    bundle = load_bundle(tiny_bundle)
    sticker = small_set / "Images" / "noto" / "2620.png"
    width = bundle.manifest.model["embed_dims"][3]
    for path, said in write_hostile(tmp_path, text_branch_id(bundle), width).items():
        found = call(programs.run, "predict", tiny_bundle, sticker, "--text-features", path, status=2)
        assert found.stdout == ""
        assert found.stderr == f"error: {path} {said}\n"
