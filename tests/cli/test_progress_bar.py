"""Long work is seen on stderr: its steps, how many stickers of a step are done, and the time left."""

from __future__ import annotations

import re

import pytest

from mghft_export.cli.progress_bar import steps


def test_steps_stay_with_their_times_and_stickers_are_counted(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    with steps("reading [data]") as shown:
        shown.start("calibrating vision and fusion")
        for done in range(1, 5):
            shown.stickers(done, 4)
        shown.start("writing")
    captured = capsys.readouterr()
    assert captured.out == ""
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", captured.err)
    assert re.search(r"3/4 stickers, 0:0\d left", plain)
    last = plain[plain.rindex("reading [data]") :]
    assert re.search(r"reading \[data\] +0:00:00\s+calibrating vision and fusion +0:00:00\s+. writing", last)
    assert "stickers" not in last


def test_in_a_file_there_is_one_line_a_step(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with steps("one") as shown:
        shown.start("two")
        shown.stickers(1, 2)
    lines = [line.split() for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert lines == [["one", "0:00:00"], ["two", "0:00:00"]]


def test_an_error_goes_through(capsys):
    with pytest.raises(ZeroDivisionError), steps("one"):
        raise ZeroDivisionError
