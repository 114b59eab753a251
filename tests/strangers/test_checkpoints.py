"""Checkpoints of strangers: one sentence each and exit status 2, nothing left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from strangers.checkpoints import write_hostile_checkpoints

from mghft_export.cli.main import cli, run
from mghft_export.model.mghft import MGHFT


def test_each_is_one_sentence(tiny_model: MGHFT, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = write_hostile_checkpoints(tiny_model, list("abcdefg"), tmp_path)
    assert len(checkpoints) >= 40
    output = tmp_path / "bundle"
    failed = []
    for checkpoint in checkpoints:
        try:
            status = run(cli, ["onnx", str(checkpoint), "--no-verify", "-o", str(output)])
        except BaseException as error:
            failed.append((checkpoint.name, repr(error)[:200]))
            capsys.readouterr()
            continue
        captured = capsys.readouterr()
        last = captured.err.splitlines()[-1]  # behind the steps that are shown
        one_sentence = last.startswith("error: ") and captured.err.count("error") == 1
        if (status, captured.out) != (2, "") or not one_sentence or output.exists():
            failed.append((checkpoint.name, f"{status} {captured.out} {captured.err}"[-300:]))
    assert not failed, "\n".join(map(str, failed))
    assert "this" not in sys.modules
