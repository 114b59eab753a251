"""What strangers send gets the same sentence from `mghft-run` as from Python."""

from __future__ import annotations

from cpp.conftest import call
from strangers.bundles import ESCAPE, unshown, write_bundle_of_names, write_hostile_bundles
from strangers.feature_files import write_hostile

from mghft_export.bundle import load_bundle
from mghft_export.bundle.text_features import text_branch_id


def test_features(programs, tiny_bundle, small_set, tmp_path):
    bundle = load_bundle(tiny_bundle)
    sticker = small_set / "Images" / "noto" / "2620.png"
    width = bundle.manifest.model["embed_dims"][3]
    for path, said in write_hostile(tmp_path, text_branch_id(bundle), width).items():
        found = call(programs.run, "predict", tiny_bundle, sticker, "--text-features", path, status=2)
        assert found.stdout == ""
        assert found.stderr == f"error: {path} {said}\n"


def test_bundles(programs, tiny_bundle, small_set, tmp_path):
    sticker = small_set / "Images" / "noto" / "2620.png"
    for bundle in write_hostile_bundles(tiny_bundle, tmp_path):
        found = call(programs.run, "predict", bundle, sticker, "--text", "a cat", status=2, timeout=60)
        assert found.stdout == "", bundle.name
        assert found.stderr.startswith("error: "), (bundle.name, found.stderr)
        assert found.stderr.count("\n") == 1, (bundle.name, found.stderr)


def test_names_do_not_command_the_terminal(programs, tiny_bundle, small_set, tmp_path):
    bundle = write_bundle_of_names(tiny_bundle, tmp_path)
    sticker = tmp_path / f"{ESCAPE}.png"
    sticker.write_bytes((small_set / "Images" / "noto" / "2620.png").read_bytes())
    commands = [
        (0, "predict", bundle, sticker, "--text", ESCAPE),
        (0, "predict", bundle, sticker, "--text", ESCAPE, "--json"),
        (0, "info", bundle),
        (0, "info", bundle, "--json"),
        (0, "bench", bundle, "--part", "vision", "--iterations", 1, "--duration", 0),
        (1, "predict", bundle, sticker, "--text", "a", "--frame", ESCAPE),
        (1, "predict", bundle, sticker, tmp_path / f"{ESCAPE}missing.png", "--text", "a"),
        (2, "predict", tmp_path / ESCAPE, sticker, "--text", "a"),
        (2, f"--{ESCAPE}"),
    ]
    for status, *words in commands:
        found = call(programs.run, *words, status=status)
        assert unshown(found.stdout + found.stderr) == set(), words
    shown = call(programs.run, "info", bundle).stdout
    assert r"\x1b]0;owned\x07" in shown
    assert "[/bold]" in shown
