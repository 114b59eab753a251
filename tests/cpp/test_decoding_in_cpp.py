"""The C++ decoders make of the awkward files what Python's do: the same table says what is right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from cpp.conftest import Programs, call
from decoding.awkward_files import write_files
from decoding.cases import case_name, difference, load_cases
from decoding.messenger_files import without_the_extra


def decoded(programs: Programs, frame: object, paths: list[Path]) -> list[np.ndarray | str]:
    """[H, W, 3] on white, or the sentence, of each file."""
    output = call(programs.probe, "decode", frame, *paths, text=False)
    assert output.stderr == b""
    found: list[np.ndarray | str] = []
    rest = output.stdout
    for _ in paths:
        line, _, rest = rest.partition(b"\n")
        head = json.loads(line)
        if isinstance(head, list):
            width, height = head
            found.append(np.frombuffer(rest, np.uint8, height * width * 3).reshape(height, width, 3))
            rest = rest[height * width * 3 :]
        else:
            found.append(head)
    assert not rest
    return found


def test_awkward_files(programs: Programs, tmp_path: Path) -> None:
    write_files(tmp_path)
    wrong = {}
    cases = load_cases()
    for frame in dict.fromkeys(case.get("frame", "middle") for case in cases):
        part = [case for case in cases if case.get("frame", "middle") == frame]
        paths = [tmp_path / case["file"] for case in part]
        for case, path, found in zip(part, paths, decoded(programs, frame, paths), strict=True):
            wrong[case_name(case)] = difference(case, path, found)
    assert {name: what for name, what in wrong.items() if what} == {}


def test_formats_that_only_python_reads_are_named(programs: Programs, tmp_path: Path) -> None:
    files = without_the_extra()
    for name, (content, _) in files.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in files]
    expected = [f"{tmp_path / name} {sentence}" for name, (_, sentence) in files.items()]
    assert decoded(programs, "middle", paths) == expected
