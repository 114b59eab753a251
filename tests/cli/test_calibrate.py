"""``calibrate`` writes a set or checks one, shows its counts, and says in one sentence what it cannot do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mghft_export.cli.main import cli, run
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.stickers.dataset import load_dataset

Invoke = Callable[..., tuple[int, str, str]]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        status = run(cli, ["calibrate", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_sampling_writes_a_set_and_shows_its_counts(invoke: Invoke, small_set: Path, tmp_path: Path) -> None:
    status, out, err = invoke("--data", small_set, "--size", 14, "--seed", 5, "-o", tmp_path / "set")
    assert (status, err) == (0, "")
    calibration = load_calibration_set(tmp_path / "set")
    assert (len(calibration.stickers), calibration.manifest.seed) == (14, 5)
    assert calibration.set_hash in out
    lines = [line.split() for line in out.splitlines()]
    assert ["sum", *["2"] * 7, "14"] in lines
    for topic, count in calibration.manifest.topic_counts.items():
        (row,) = [line for line in lines if line[:1] == [topic]]
        assert int(row[-1]) == sum(map(int, row[1:-1])) == count


def test_defaults_are_512_stickers_and_seed_0(invoke: Invoke, small_set: Path, tmp_path: Path) -> None:
    status, out, _ = invoke("--data", small_set, "-o", tmp_path / "set", "--json")
    report = json.loads(out)
    assert (status, report["asked"], report["seed"], report["stickers"]) == (0, 512, 0, 28)


def test_fewer_stickers_than_asked_are_said(invoke: Invoke, small_set: Path, tmp_path: Path) -> None:
    _, out, _ = invoke("--data", small_set, "--size", 20, "--topics", "noto, twemoji", "-o", tmp_path / "set")
    assert "Fewer than asked: there are no more than 14 stickers" in out
    assert set(load_calibration_set(tmp_path / "set").manifest.topic_counts) == {"noto", "twemoji"}


def test_json_has_the_manifest_and_no_table(invoke: Invoke, small_set: Path, tmp_path: Path) -> None:
    _, out, _ = invoke("--data", small_set, "--size", 7, "-o", tmp_path / "set", "--json")
    report, calibration = json.loads(out), load_calibration_set(tmp_path / "set")
    assert report["set_hash"] == calibration.set_hash
    assert (
        report["class_counts"] == calibration.manifest.class_counts == dict.fromkeys(report["class_names"], 1)
    )
    assert report["bytes"] == calibration.bytes
    assert report["left_out"] == []


def test_check_accepts_a_whole_set_and_names_damage(invoke: Invoke, small_set: Path, tmp_path: Path) -> None:
    invoke("--data", small_set, "--size", 7, "-o", tmp_path / "set")
    status, out, _ = invoke("--check", tmp_path / "set", "--data", small_set)
    assert status == 0
    assert "none of its stickers is in the val or test split" in out
    load_calibration_set(tmp_path / "set").stickers[2].image.write_bytes(b"x")
    status, out, err = invoke("--check", tmp_path / "set")
    assert (status, out) == (2, "")
    assert "was changed after the sampling" in err


def test_check_refuses_stickers_of_the_test_split(invoke: Invoke, small_set: Path, tmp_path: Path) -> None:
    """A set drawn where train and test were swapped."""
    swapped = tmp_path / "swapped"
    shutil.copytree(small_set, swapped)
    folder = swapped / "Annotations_mg" / "image-level"
    shutil.copy(small_set / "Annotations_mg" / "image-level" / "test.json", folder / "train.json")
    shutil.copy(small_set / "Annotations_mg" / "image-level" / "train.json", folder / "test.json")
    assert invoke("--data", swapped, "--size", 7, "-o", tmp_path / "set")[0] == 0
    assert invoke("--check", tmp_path / "set")[0] == 0
    status, _, err = invoke("--check", tmp_path / "set", "--data", small_set)
    assert status == 2
    assert "of test; calibrate on a set that was sampled from the train split" in err


def test_skip_bad_says_what_was_left_out(invoke: Invoke, small_set: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small_set, copy)
    bad = load_dataset(copy).split("train")[0].image
    bad.write_bytes(b"no image")
    status, _, err = invoke("--data", copy, "-o", tmp_path / "set")
    assert status == 2
    assert f"{bad} cannot be read as an image" in err
    assert not (tmp_path / "set").exists()
    status, out, _ = invoke("--data", copy, "-o", tmp_path / "set", "--skip-bad")
    assert status == 0
    assert "1 stickers that could not be used (first: " in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "pass --data ROOT and -o SET"),
        (("--data", "somewhere"), "pass --data ROOT and -o SET"),
        (("--check", "set", "--size", "3"), "--check samples nothing"),
        (("--data", "nowhere", "-o", "set"), "there is no folder nowhere"),
        (("--check", "nowhere"), "nowhere is not a calibration set; make one with"),
    ],
)
def test_misuse_is_one_sentence_and_status_2(invoke: Invoke, arguments: tuple[str, ...], words: str) -> None:
    status, out, err = invoke(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_other_folders_are_not_replaced(invoke: Invoke, small_set: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    status, _, err = invoke("--data", small_set, "--size", 3, "-o", tmp_path)
    assert status == 2
    assert "choose another place with -o" in err
    assert (tmp_path / "notes.txt").read_text() == "mine"
