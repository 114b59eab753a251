"""Rows that the C++ program runs: its memory and its failures are the row's."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from mghft_export.bench.rows import all_rows
from mghft_export.bench.subjects import Subject
from mghft_export.bundle import load_bundle
from mghft_export.cli.bench import bench
from mghft_export.cli.main import run


@pytest.fixture
def stand_in(tmp_path: Path):
    """A program in mghft-run's place, which answers as a shell script does."""

    def write(script: str) -> Path:
        program = tmp_path / "mghft-run"
        program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo mghft-run 9.9 && exit 0\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return write


def measure(bundle: Path, program: Path, capsys: pytest.CaptureFixture[str], *options: str):
    """The one comparison, of the program's row alone."""
    arguments = [str(bundle), "--runner", str(program), "--only", "mghft-run", "--provider", "cpu", "--json"]
    arguments += ["--part", "vision", "--iterations", "2", "--duration", "0", "--threads", "1", *options]
    status = run(bench, arguments)
    out, err = capsys.readouterr()
    return status, json.loads(out) if out else None, err


def test_a_row_is_timed_and_has_the_programs_memory(tiny_bundle, stand_in, capsys):
    program = stand_in("echo 5000000\nwhile read line; do sleep 0.02; echo 123000000; done")
    status, record, _ = measure(tiny_bundle, program, capsys)
    assert status == 0
    (row,) = record["comparisons"][0]["rows"]
    assert row["name"] == "mghft-run fp32"
    assert row["latency"]["minimum"] >= 20
    assert (row["loaded_bytes"], row["peak_bytes"]) == (5_000_000, 123_000_000)
    assert row["price"]["agreement"] == 1
    assert record["flags"]["runner"] == "mghft-run 9.9"


def test_the_program_is_told_what_the_other_rows_do(tiny_bundle, stand_in, tmp_path, capsys):
    program = stand_in(f'echo "$@" > {tmp_path}/said\necho 1\nwhile read line; do echo 1; done')
    measure(tiny_bundle, program, capsys, "--batch", "3")
    said = (tmp_path / "said").read_text().split()
    assert said[:2] == ["bench", str(tiny_bundle)]
    options = dict(zip(said[3::2], said[4::2], strict=True))
    assert said[2] == "--on-request"
    assert Path(options.pop("--calibration"), "manifest.json").is_file()
    assert options == {
        "--part": "vision",
        "--batch": "3",
        "--threads": "1",
        "--precision": "fp32",
        "--provider": "cpu",
    }


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'error: the disk burns; put it out' >&2; exit 2", "the disk burns; put it out"),
        ("echo 1; read line; exit 3", "mghft-run ended (exit code 3)"),
    ],
)
def test_what_the_program_dies_of_is_the_rows_failure(tiny_bundle, stand_in, capsys, script, reason):
    status, record, err = measure(tiny_bundle, stand_in(script), capsys)
    assert status == 2
    assert record["comparisons"][0]["rows"][0]["failure"] == reason
    assert "no row could be measured" in err


def test_what_is_no_mghft_run_is_one_sentence(tiny_bundle, tmp_path, capsys):
    for program in (tmp_path / "nothing", Path("/bin/true"), tmp_path):
        status, record, err = measure(tiny_bundle, program, capsys)
        assert (status, record) == (2, None)
        assert f"{program} is no mghft-run" in err
    assert run(bench, [str(tiny_bundle), "--only", "mghft-run"]) == 2
    assert "give it with --runner" in capsys.readouterr().err


def test_the_program_runs_what_sessions_run(quantised_tiny_bundle):
    template = Subject(quantised_tiny_bundle, "onnxruntime", "vision", 1, 1)
    bundle = load_bundle(quantised_tiny_bundle)
    names = [row.name for row in all_rows(template, bundle, providers=("cpu", "cuda"), runner=Path("x"))]
    for precision in bundle.manifest.precisions:
        assert {f"mghft-run {precision}", f"mghft-run {precision} cuda"} <= set(names)
    assert len(names) == len(set(names))


def test_texts_of_a_length_are_not_for_the_program(tiny_bundle, stand_in, capsys):
    arguments = [str(tiny_bundle), "--runner", str(stand_in("exit 1")), "--only", "mghft-run", "--json"]
    assert run(bench, [*arguments, "--part", "text", "--lengths", "8", "--provider", "cpu"]) == 2
    row = json.loads(capsys.readouterr().out)["comparisons"][0]["rows"][0]
    assert row["failure"] == "mghft-run takes texts as long as they are"


def test_nothing_is_left_of_the_program(tiny_bundle, stand_in, tmp_path, capsys):
    program = stand_in(f"echo $$ > {tmp_path}/pid\necho 1\nwhile read line; do echo 1; done")
    measure(tiny_bundle, program, capsys)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
