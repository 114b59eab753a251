"""The program and the Python package remember verified files in one place, and each reads what the other wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cpp.conftest import ROOT, call

from mghft_export.files.hashing import sha256
from mghft_export.files.verified_files import verified_sha256

FILE = ROOT / "LICENSE"
PLANTED = "0" * 64
"""What no file has, so it came out of the memory."""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MGHFT_ALWAYS_HASH")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mghft-export" / "verified" / "files.txt"


def plant(memory: Path) -> None:
    """Another hash for the file that was remembered last."""
    assert memory.read_text().endswith(f" {sha256(FILE)}\n")
    memory.write_text(memory.read_text()[:-65] + PLANTED + "\n")


def hashed_by_the_library(programs) -> str:
    return call(programs.probe, "hash", FILE, env=dict(os.environ)).stdout.strip()


def test_python_reads_what_the_library_remembered(programs, memory):
    assert hashed_by_the_library(programs) == sha256(FILE)
    plant(memory)
    assert verified_sha256(FILE) == PLANTED


def test_the_library_reads_what_python_remembered(programs, memory):
    assert verified_sha256(FILE) == sha256(FILE)
    plant(memory)
    assert hashed_by_the_library(programs) == PLANTED


def test_each_keeps_what_the_other_remembered(programs, memory):
    other = ROOT / "pyproject.toml"
    verified_sha256(other)
    hashed_by_the_library(programs)
    assert sha256(other) in memory.read_text()
    assert sha256(FILE) in memory.read_text()
    assert len(memory.read_text().splitlines()) == 3
