"""What is said where the branch cannot be written for the process that traces it."""

from __future__ import annotations

import errno

import pytest

torch = pytest.importorskip("torch")

from mghft_export.errors import ExportError  # noqa: E402
from mghft_export.exporting import trace_process  # noqa: E402


class NamedBranch:
    name = "vision"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (RuntimeError("[enforce fail] PytorchStreamWriter failed writing file data/1"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied; choose another place"),
    ],
)
def test_a_full_disk_and_other_reasons_are_told_apart(monkeypatch, tmp_path, error, words):
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(trace_process.torch, "save", refuse)
    with pytest.raises(ExportError, match=words):
        trace_process._hand_over(NamedBranch(), tmp_path / "branch")


def test_an_error_of_the_branch_itself_is_not_hidden(monkeypatch, tmp_path):
    def refuse(*_: object) -> None:
        raise RuntimeError("a hook cannot be pickled")

    monkeypatch.setattr(trace_process.torch, "save", refuse)
    with pytest.raises(RuntimeError, match="hook"):
        trace_process._hand_over(NamedBranch(), tmp_path / "branch")
