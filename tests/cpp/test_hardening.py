"""What makes a fault in a parser hard to use is in the program that was built."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from cpp.conftest import ROOT, SANITIZERS, call, onnxruntime_folder

pytestmark = pytest.mark.skipif(bool(SANITIZERS), reason="sanitizers find faults in their own way")


@pytest.fixture(scope="module")
def readelf(programs) -> str:
    if shutil.which("readelf") is None:
        pytest.skip("no readelf (Debian: binutils)")
    return call("readelf", "-hldW", "--dyn-syms", programs.run).stdout


def test_the_program_can_lie_anywhere(readelf: str) -> None:
    assert re.search(r"Type:\s+DYN", readelf)
    assert "FLAGS_1" in readelf
    assert re.search(r"Flags:.*\bPIE\b", readelf)


def test_tables_of_functions_are_read_only(readelf: str) -> None:
    assert "GNU_RELRO" in readelf
    assert re.search(r"BIND_NOW|Flags:.*\bNOW\b", readelf)


def test_the_stack_holds_no_code(readelf: str) -> None:
    assert re.search(r"GNU_STACK\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+RW\s", readelf)


def test_overruns_of_the_stack_and_of_vectors_end_the_program(readelf: str) -> None:
    assert "__stack_chk_fail" in readelf
    assert "__glibcxx_assert_fail" in readelf


def test_the_release_is_fortified(programs, tmp_path: Path) -> None:
    """Tests are built without optimisation, which FORTIFY_SOURCE needs, so its command lines are looked at."""
    call(
        *(
            "cmake",
            "-S",
            ROOT,
            "-B",
            tmp_path,
            f"-DONNXRUNTIME_ROOT={onnxruntime_folder()}",
            "-DMGHFT_CUDA=OFF",
        ),
        *("-DMGHFT_TESTS=OFF", "-DMGHFT_OPENVINO=OFF", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"),
    )
    commands = [item["command"] for item in json.loads((tmp_path / "compile_commands.json").read_text())]
    assert len(commands) > 50
    for command in commands:
        assert "-D_FORTIFY_SOURCE=2" in command
        assert "-fstack-protector-strong" in command
        assert " -O" in command
