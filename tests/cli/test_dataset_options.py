"""Every command that takes a data set reads a table with other names of columns and classes."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from mghft_export.cli.main import cli
from mghft_export.stickers.dataset import load_dataset

NAMED = ["--columns", "image=file,text=says,label=mood", "--class-map", "rage=anger"]


@pytest.fixture
def table(small_set: Path, tmp_path: Path) -> Path:
    """Six test stickers as somebody else's table."""
    dataset = load_dataset(small_set)
    path = tmp_path / "own" / "stickers.csv"
    path.parent.mkdir()
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "says", "mood"])
        for sticker in dataset.split("test")[:6]:
            mood = dataset.class_names[sticker.label]
            shutil.copy(sticker.image, path.parent)
            rows.writerow([sticker.image.name, sticker.text, "rage" if mood == "anger" else mood])
    (path.parent / "classes.json").write_text(json.dumps(dataset.class_names))
    return path


def test_verify(invoke: Any, quantised_tiny_bundle: Path, table: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(quantised_tiny_bundle, tmp_path / "bundle")
    command = ["verify", bundle, "--precision", "int8", "--data", table, "--json"]
    status, out, err = invoke(*command, *NAMED)
    assert status == 0, err
    assert json.loads(out)["precisions"]["int8"]["data"].endswith("6 stickers")
    status, _, err = invoke(*command)
    assert status == 2
    assert "--columns image=NAME" in err


def test_sensitivity(invoke: Any, tiny_bundle: Path, table: Path) -> None:
    command = ["sensitivity", tiny_bundle, "--branch", "fusion", "--calibrator", "max", "--limit", 2]
    status, out, err = invoke(*command, "--data", table, "--json", *NAMED)
    assert status == 0, err
    assert json.loads(out)["stickers"] == 2
    status, _, err = invoke(*command, "--data", table)
    assert status == 2
    assert "--columns image=NAME" in err


def test_onnx(invoke: Any, table: Path, tmp_path: Path) -> None:
    """The table is read before the checkpoint."""
    command = ["onnx", tmp_path / "no.pth", "-o", tmp_path / "bundle", "--data", table]
    assert "--columns image=NAME" in invoke(*command)[2]
    status, _, err = invoke(*command, *NAMED)
    assert status == 2
    assert "no.pth" in err


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["verify", "BUNDLE"], "--data ROOT"),
        (["sensitivity", "BUNDLE"], "--data ROOT"),
        (["onnx", "-o", "out"], "--data ROOT"),
        (["calibrate", "--check", "set"], "--data ROOT"),
        (["interpret", "a.png", "-o", "out.jsonl", "--endpoint", "http://localhost"], "--data ROOT"),
        (["interpret", "merge", "a.journal", "--images", "a.png", "-o", "out.jsonl"], "--data ROOT"),
    ],
)
def test_without_a_data_set_they_are_refused(
    invoke: Any, quantised_tiny_bundle: Path, command: list[str], option: str
) -> None:
    arguments = [str(quantised_tiny_bundle) if word == "BUNDLE" else word for word in command]
    for said in (["--columns", "image=file"], ["--class-map", "rage=anger"], ["--format", "ser30k"]):
        status, _, err = invoke(*arguments, *said)
        assert status == 2
        assert f"describe a data set; add {option}" in err


def commands(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """All commands by what is typed, those of groups included."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        else:
            yield " ".join((*before, name)), command


def test_all_commands_that_take_a_data_set_have_them() -> None:
    seen = set()
    for name, command in commands(cli):
        options = {word for parameter in command.params for word in parameter.opts}
        if {"--data", "data", "root"} & options or name == "onnx":
            seen.add(name)
            assert {"--format", "--columns", "--class-map"} <= options, name
    assert {"onnx", "eval", "train", "verify", "calibrate", "data check", "interpret merge"} <= seen
