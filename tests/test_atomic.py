"""Outputs appear whole or not at all, and what a killed process leaves goes with the next run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mghft_export.files.atomic import replacing_file, replacing_folder

WRITER = """
import sys
from pathlib import Path
from mghft_export.files.atomic import replacing_file, replacing_folder
output = Path(sys.argv[2])
with {"file": replacing_file, "folder": replacing_folder}[sys.argv[1]](output) as partial:
    (partial / "x" if partial.is_dir() else partial).write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""


def left_behind(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir() if item.name.startswith("."))


def writer(kind: str, output: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, kind, str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()


@pytest.mark.skipif(os.name != "posix", reason="processes are looked for as POSIX does")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, kind: str) -> None:
    output = tmp_path / "bundle [1]"
    other = tmp_path / "bundle"
    killed, alive, another = writer(kind, output), writer(kind, output), writer(kind, other)
    kill(killed)
    kill(another)
    assert len(left_behind(tmp_path)) == 3
    if kind == "file":
        with replacing_file(output) as partial:
            partial.write_text("whole")
    else:
        with replacing_folder(output) as partial:
            (partial / "x").write_text("whole")
    found = left_behind(tmp_path)
    assert len(found) == 2, "the other process still writes, and another output is not ours"
    assert any(f"-{alive.pid}-" in name for name in found)
    assert not any(f"-{killed.pid}-" in name for name in found)
    kill(alive)


@pytest.mark.skipif(os.name != "posix", reason="processes are looked for as POSIX does")
def test_a_folder_that_was_moved_away_comes_back(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    killed = writer("folder", output)
    kill(killed)
    (name,) = left_behind(tmp_path)
    (tmp_path / f"{name}.old").mkdir()
    (tmp_path / f"{name}.old" / "x").write_text("the whole one of before")
    with pytest.raises(RuntimeError), replacing_folder(output):
        raise RuntimeError("this one fails")
    assert (output / "x").read_text() == "the whole one of before"
    assert not left_behind(tmp_path)
