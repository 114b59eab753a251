"""Engines of a bundle up to the point where a GPU is needed: found by name, checked, refused in one sentence."""

from __future__ import annotations

import shutil

import pytest

from mghft_export.bundle import load_bundle
from mghft_export.bundle.build_info import read_build_info
from mghft_export.cli.main import cli, run
from mghft_export.engines.gpu import Gpu, find_gpu
from mghft_export.engines.loading import engine_folders
from mghft_export.errors import EngineError
from mghft_export.runtime.engine_branches import engine_branches, find_engine_folder
from mghft_export.runtime.profile_choice import Extent, choose_profile

no_gpu = pytest.mark.skipif(isinstance(find_gpu(), Gpu), reason="is about machines without a GPU")


@pytest.fixture(scope="module")
def built(tiny_bundle, tmp_path_factory):
    """A bundle with a TensorRT-RTX engine of its fusion branch, of two profiles."""
    pytest.importorskip("tensorrt_rtx")
    root = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("engines") / "bundle")
    arguments = [
        "--fp32",
        "--backend",
        "rtx",
        "--branch",
        "fusion",
        "--level",
        "0",
        "--batch",
        "1,1,2",
        "--batch",
        "2,8,32",
    ]
    assert run(cli, ["trt", str(root), *arguments]) == 0
    return load_bundle(root)


def predict(bundle, small_set, *arguments):
    image = next(small_set.glob("Images/*/*.png"))
    return run(cli, ["predict", str(bundle.root), str(image), "--text", "a happy face", *arguments])


def test_a_real_build_has_the_profiles_that_are_chosen_from(built):
    (folder,) = engine_folders(built)
    entry = read_build_info(folder).engines["fusion"]
    profiles = [{name: Extent(*shapes) for name, shapes in profile.items()} for profile in entry.profiles]

    def shapes(batch):
        return {name: (batch, *extent.maximum[1:]) for name, extent in profiles[0].items()}

    assert [choose_profile(profiles, shapes(batch)) for batch in (1, 2, 3, 32)] == [0, 0, 1, 1]
    with pytest.raises(EngineError, match="no profile"):
        choose_profile(profiles, shapes(33))


def test_engines_are_found_by_name_and_by_path(built, tmp_path):
    (folder,) = engine_folders(built)
    assert find_engine_folder(built, folder.name) == folder
    assert find_engine_folder(built, str(folder)) == folder
    with pytest.raises(EngineError, match=rf"'other' \(the bundle has {folder.name}\).*mghft-export trt"):
        find_engine_folder(built, "other")
    with pytest.raises(EngineError, match=r"no engines '\.\./engines'"):
        find_engine_folder(built, "../engines")


@no_gpu
def test_without_a_gpu_predict_and_eval_say_so_in_one_sentence(built, small_set, capsys, monkeypatch):
    (folder,) = engine_folders(built)
    capsys.readouterr()
    assert predict(built, small_set, "--engine", folder.name) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "none can be used here" in captured.err
    assert captured.err.count("\n") == 1
    pytest.importorskip("sklearn")
    assert run(cli, ["eval", str(built.root), str(small_set), "--engine", str(folder)]) == 2
    assert "none can be used here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engine", "nothing"], "there are no engines 'nothing' (the bundle has none)"),
        (["--engine", "x", "--precision", "fp32"], "--precision has no meaning for engines"),
        (["--engine", "x", "--provider", "cuda"], "--provider has no meaning for engines"),
    ],
)
def test_bad_engine_options(tiny_bundle, small_set, capsys, arguments, words):
    assert predict(load_bundle(tiny_bundle), small_set, *arguments) == 2
    assert words in capsys.readouterr().err


def test_a_checkpoint_has_no_engines(tmp_path, small_set, capsys):
    pytest.importorskip("sklearn")
    (tmp_path / "best.pth").write_bytes(b"x")
    assert run(cli, ["eval", str(tmp_path / "best.pth"), str(small_set), "--engine", "x"]) == 2
    assert "has no engines" in capsys.readouterr().err


@no_gpu
def test_a_folder_that_was_changed_is_refused_before_anything_is_loaded(built, tmp_path):
    root = shutil.copytree(built.root, tmp_path / "bundle")
    (folder,) = engine_folders(load_bundle(root))
    engine = folder / read_build_info(folder).engines["fusion"].file.path
    engine.write_bytes(engine.read_bytes()[:-1])
    with pytest.raises(EngineError, match=r"was changed.*build it again with: mghft-export trt"):
        engine_branches(load_bundle(root), folder.name)
