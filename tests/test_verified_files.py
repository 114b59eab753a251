"""A file's hash is remembered while nothing about the file changes, in a place that only its user can write."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from mghft_export.bundle import load_bundle
from mghft_export.errors import BundleError
from mghft_export.files import verified_files
from mghft_export.files.verified_files import verified_sha256

PLANTED = "0" * 64
"""What no file has, so it came out of the memory."""

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owner here")


def hashed(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


class Memory:
    """A cache of its own, and a clock that is some seconds ahead."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "cache" / "mghft-export" / "verified"
        self.path = self.folder / "files.txt"
        self.seconds = 10.0

    def time_ns(self) -> int:
        return int(time.time() * 1e9 + self.seconds * 1e9)

    def plant(self, file: Path) -> None:
        """Remember the file, and put another hash into the memory."""
        self.path.unlink(missing_ok=True)
        assert verified_sha256(file) == hashlib.sha256(file.read_bytes()).hexdigest()
        self.path.write_text(self.path.read_text()[:-65] + PLANTED + "\n")
        assert verified_sha256(file) == PLANTED


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.delenv("MGHFT_ALWAYS_HASH")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    memory = Memory(tmp_path)
    monkeypatch.setattr(verified_files, "current_time", memory.time_ns)
    return memory


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_text("weights")
    return path


def test_a_file_that_nobody_changed_is_not_hashed_again(memory, file):
    memory.plant(file)
    assert verified_sha256(file.parent / ".." / file.parent.name / file.name) == PLANTED


def write_and_set_the_time_back(file: Path) -> None:
    before = file.stat()
    file.write_text("Weights")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def put_another_in_its_place(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("Weights")
    other.rename(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text("Weights"),
        lambda file: file.write_text("weigh"),
        write_and_set_the_time_back,
        put_another_in_its_place,
        os.utime,
    ],
    ids=["written", "shortened", "written-in-secret", "replaced", "touched"],
)
def test_a_file_that_was_changed_is_hashed_again(memory, file, change):
    memory.plant(file)
    change(file)
    assert verified_sha256(file) == hashed(file.read_text())


@pytest.mark.parametrize("seconds", [0, 1.5, -10])
def test_a_file_that_was_changed_a_moment_ago_is_not_remembered(memory, file, seconds):
    memory.seconds = seconds
    assert verified_sha256(file) == hashed("weights")
    assert not memory.path.exists()


def test_a_file_that_is_written_while_it_is_hashed_is_not_remembered(memory, file, monkeypatch):
    def hash_and_write(path: Path) -> str:
        path.write_text("Weights")
        return hashed("weights")

    monkeypatch.setattr(verified_files, "sha256", hash_and_write)
    verified_sha256(file)
    assert not memory.path.exists()


@pytest.mark.parametrize(("value", "expected"), [("1", hashed("weights")), ("0", PLANTED), ("", PLANTED)])
def test_the_variable_hashes_every_file(memory, file, monkeypatch, value, expected):
    memory.plant(file)
    monkeypatch.setenv("MGHFT_ALWAYS_HASH", value)
    assert verified_sha256(file) == expected


def test_only_the_user_can_read_and_write_the_memory(memory, file):
    memory.plant(file)
    assert memory.folder.stat().st_mode & 0o777 == 0o700
    assert memory.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_a_folder_that_others_can_write_is_neither_read_nor_written(memory, file, mode):
    memory.plant(file)
    memory.folder.chmod(mode)
    assert verified_sha256(file) == hashed("weights")
    memory.folder.chmod(0o700)
    assert verified_sha256(file) == PLANTED


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_memory_that_others_can_write_is_not_read(memory, file, mode):
    memory.plant(file)
    memory.path.chmod(mode)
    assert verified_sha256(file) == hashed("weights")


def test_links_are_not_followed(memory, file, tmp_path):
    memory.plant(file)
    memory.path.rename(tmp_path / "elsewhere")
    memory.path.symlink_to(tmp_path / "elsewhere")
    assert verified_sha256(file) == hashed("weights")
    memory.plant(file)
    memory.folder.rename(tmp_path / "folder")
    memory.folder.symlink_to(tmp_path / "folder")
    assert verified_sha256(file) == hashed("weights")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["path", "folder"])
def test_what_belongs_to_another_user_is_not_read(memory, file, what):
    memory.plant(file)
    os.chown(getattr(memory, what), 65534, 65534)
    assert verified_sha256(file) == hashed("weights")


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: "",
        lambda whole: "{}\n",
        lambda whole: "\xff" * 1000,
        lambda whole: whole.split("\n", 1)[1],
        lambda whole: f"another {whole}",
        lambda whole: whole[:-2],
        lambda whole: whole[:-2] + "\n",
    ],
    ids=["empty", "json", "bytes", "no-first-line", "other-version", "cut", "short-hash"],
)
def test_a_memory_that_is_damaged_is_begun_anew(memory, file, damage):
    memory.plant(file)
    memory.path.write_text(damage(memory.path.read_text()))
    assert verified_sha256(file) == hashed("weights")
    assert hashed("weights") in memory.path.read_text()


def test_the_files_remembered_last_are_kept(memory, file, tmp_path):
    memory.plant(file)
    for number in range(verified_files.MOST_LINES + 4):
        other = tmp_path / str(number)
        other.write_text("x")
        verified_sha256(other)
    assert len(memory.path.read_text().splitlines()) == verified_files.MOST_LINES + 1
    assert verified_sha256(file) == hashed("weights")


def test_without_a_place_to_remember_files_they_are_hashed(memory, file, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert verified_sha256(file) == hashed("weights")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert verified_sha256(file) == hashed("weights")


def test_a_graph_that_is_changed_after_it_was_remembered_is_refused(memory, tiny_bundle, tmp_path):
    root = tmp_path / "bundle"
    root.mkdir()
    for path in tiny_bundle.rglob("*"):
        target = root / path.relative_to(tiny_bundle)
        target.mkdir(exist_ok=True) if path.is_dir() else target.write_bytes(path.read_bytes())
    bundle = load_bundle(root)
    path = bundle.graph("fusion")
    assert bundle.graph("fusion") == path
    assert bundle.manifest.precisions["fp32"]["fusion"].file.sha256 in memory.path.read_text()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match="was changed after the export"):
        bundle.graph("fusion")
