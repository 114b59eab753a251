"""Bundles of strangers: one sentence each and exit status 2, nothing on standard output."""

from __future__ import annotations

from pathlib import Path

import pytest
from strangers.bundles import write_hostile_bundles

from mghft_export.bundle import load_bundle
from mghft_export.cli.main import cli, run
from mghft_export.errors import BundleError
from mghft_export.runtime.branches import onnx_branches


def test_each_is_one_sentence(
    tiny_bundle: Path, small_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sticker = small_set / "Images" / "noto" / "2620.png"
    bundles = write_hostile_bundles(tiny_bundle, tmp_path)
    assert len(bundles) >= 60
    for bundle in bundles:
        status = run(cli, ["predict", str(bundle), str(sticker), "--text", "a cat"])
        captured = capsys.readouterr()
        assert (status, captured.out) == (2, ""), bundle.name
        assert captured.err.startswith("error: "), (bundle.name, captured.err)
        assert captured.err.count("\n") == 1, (bundle.name, captured.err)


@pytest.mark.parametrize("swap", ["replaced", "written to"])
def test_a_graph_that_changes_between_its_hash_and_its_use_is_not_used(
    swap: str, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from mghft_export.runtime import branches

    copied = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, copied)
    bundle = load_bundle(copied)
    opened = branches.open_graph

    def swapping(path: Path, **options: object) -> object:
        content = path.read_bytes()
        if swap == "replaced":
            (tmp_path / path.name).write_bytes(content)
            (tmp_path / path.name).replace(path)
        else:
            path.write_bytes(content)
        return opened(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(branches, "open_graph", swapping)
    with pytest.raises(BundleError, match=r"was changed while it was loaded; run again"):
        onnx_branches(bundle)


def test_what_is_read_is_what_was_hashed(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    entry = bundle.manifest.tokenizer
    assert bundle.read(entry) == (tiny_bundle / entry.path).read_bytes()
    with pytest.raises(BundleError, match="was changed after the export"):
        bundle.read(entry.model_copy(update={"sha256": "0" * 64}))
