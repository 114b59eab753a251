"""Engines are loaded where this user built them, or vouches for them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mghft_export.bundle import load_bundle
from mghft_export.cli.main import cli, run
from mghft_export.engines.loading import engine_folders, load_engine_folder
from mghft_export.engines.trust import MOST_LINES, TRUST_ENGINES, check_trust, remember_built
from mghft_export.errors import EngineError


@pytest.fixture(autouse=True)
def other_user(tmp_path, monkeypatch):
    """A user who has built nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(TRUST_ENGINES, raising=False)


@pytest.fixture
def folder(built_bundle, tmp_path):
    bundle = load_bundle(Path(shutil.copytree(built_bundle.root, tmp_path / "bundle")))
    return engine_folders(bundle)[0]


def test_an_engine_from_elsewhere(folder, ada, monkeypatch):
    gpu = replace(ada, sm=86)
    with pytest.raises(EngineError, match=r"were not built here by you.*add --trust-engine"):
        load_engine_folder(folder, gpu=gpu)
    monkeypatch.setenv(TRUST_ENGINES, "1")
    load_engine_folder(folder, gpu=gpu)


def test_an_engine_that_was_built_here(rtx, quantised_tiny_bundle, tmp_path):
    bundle = Path(shutil.copytree(quantised_tiny_bundle, tmp_path / "own"))
    assert run(cli, ["trt", str(bundle), "--target", "sm86", "--branch", "fusion"]) == 0
    built = engine_folders(load_bundle(bundle))[0]
    from mghft_export.engines.gpu import Gpu

    gpu = Gpu(name="NVIDIA RTX A4000", sm=86, free=2**30, driver="13.0", multiprocessors=48, memory=2**34)
    assert load_engine_folder(built, gpu=gpu).engine("fusion").is_file()


def test_the_option_is_for_one_command(folder, small_set, monkeypatch, capsys):
    """Without a GPU both end in a sentence; with the option it is another one."""
    sticker = next((small_set / "Images").glob("*/*.png"))
    words = ["predict", str(folder.parent.parent), str(sticker), "--text", "a", "--engine", folder.name]
    assert run(cli, words) == 2
    assert "add --trust-engine" in capsys.readouterr().err
    monkeypatch.setenv(TRUST_ENGINES, "0")
    assert run(cli, [*words, "--trust-engine"]) in (0, 2)
    assert "add --trust-engine" not in capsys.readouterr().err


def test_what_others_could_have_written_counts_nothing(tmp_path):
    remember_built(["a" * 64, "b" * 64])
    check_trust("x", ["a" * 64])
    check_trust("x", ["b" * 64, "a" * 64])
    with pytest.raises(EngineError):
        check_trust("x", ["a" * 64, "c" * 64])
    file = tmp_path / "cache/mghft-export/verified/engines.txt"
    file.chmod(0o666)
    with pytest.raises(EngineError):
        check_trust("x", ["a" * 64])
    file.chmod(0o600)
    check_trust("x", ["a" * 64])
    remember_built([f"{number:064x}" for number in range(MOST_LINES)])
    with pytest.raises(EngineError):
        check_trust("x", ["a" * 64])
