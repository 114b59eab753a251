"""The Jetson's Dockerfile, which is not built here: what it copies exists, and it stays without torch.

The toolchain file for cross-building, as far as it goes without a Jetson's files.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def instructions():
    text = (ROOT / "docker" / "jetson.Dockerfile").read_text()
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [line.split(None, 1) for line in joined.splitlines() if line.strip()]


def test_base_is_pinned_and_only_files_of_the_repository_are_copied():
    found = instructions()
    assert found[0][0] == "FROM"
    assert re.search(r":r36\.\d", found[0][1])
    assert {name for name, _ in found} <= {"FROM", "ARG", "RUN", "COPY", "ENV", "VOLUME", "ENTRYPOINT", "CMD"}
    copied = {source for name, rest in found if name == "COPY" for source in rest.split()[:-1]}
    copied.remove("${ONNXRUNTIME}")  # a release of ONNX Runtime, which whoever builds the runner puts there
    assert all((ROOT / source).exists() for source in copied)
    included = re.search(r"force-include\]\n\"([^\"]+)\"", (ROOT / "pyproject.toml").read_text())
    assert {included[1], "pyproject.toml", "README.md", "LICENSE", "mghft_export"} <= copied


def test_nothing_is_installed_that_brings_torch_or_another_tensorrt():
    runs = [shlex.split(rest) for name, rest in instructions() if name == "RUN"]
    installed = {word for words in runs if any("pip" in word for word in words) for word in words}
    assert "/src" in installed
    assert not {word for word in installed if re.match(r"(torch|tensorrt|.*\[)", word)}


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake")
def test_a_cmake_inside_the_cross_build_knows_the_sysroot(tmp_path):
    """The search for nvcc starts one, without the variables of the first."""
    toolchain = ROOT / "cpp" / "cmake" / "jetson-toolchain.cmake"
    inner = f"execute_process(COMMAND ${{CMAKE_COMMAND}} -S inner -B inner/build -DCMAKE_TOOLCHAIN_FILE={toolchain}"
    start = "cmake_minimum_required(VERSION 3.22)\nproject(jetson LANGUAGES NONE)\n"
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "CMakeLists.txt").write_text(start + 'message(STATUS "in ${CMAKE_SYSROOT}")\n')
    (tmp_path / "CMakeLists.txt").write_text(start + inner + " WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})\n")

    def configure(*options):
        command = ["cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}"]
        return subprocess.run([*map(str, command), *options], capture_output=True, text=True)

    refused = configure()
    assert refused.returncode != 0
    assert "give the Jetson's root file system with -DMGHFT_SYSROOT=FOLDER" in refused.stderr
    found = configure(f"-DMGHFT_SYSROOT={tmp_path}")
    assert f"in {tmp_path}" in found.stdout
    assert not found.stderr
