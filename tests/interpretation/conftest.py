"""Shared by the interpreter's tests: stickers to describe, and its command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from mghft_export.cli.main import cli, run


class Outcome(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


Invoke = Callable[..., Outcome]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run `mghft-export`; waits between retries are short."""
    monkeypatch.setattr("mghft_export.interpretation.endpoint.FIRST_WAIT", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def call(*arguments: object) -> Outcome:
        status = run(cli, [str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


@pytest.fixture
def stickers(tmp_path: Path) -> Path:
    """A folder with twelve different images."""
    return draw_stickers(tmp_path / "stickers", 12)


def draw_stickers(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        colour = (number % 256, number // 256, 77)
        Image.new("RGB", (8, 8), colour).save(folder / f"{number:04}.png")
    return folder
