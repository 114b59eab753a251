"""The C++ library, program and tests, built once.

`make cpp-sanitize` runs these tests with AddressSanitizer and UndefinedBehaviorSanitizer.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SANITIZERS = os.environ.get("MGHFT_SANITIZE", "")
"""As -fsanitize takes them."""
FOLDER = ROOT / "build" / ("cpp-sanitize" if SANITIZERS else "cpp-tests")
"""Kept, so that the next run compiles only what changed."""

LEAK_CHECK_FAILED = "LeakSanitizer has encountered a fatal error"
LEAK_CHECKS = 3
"""The leak checker cannot stop a thread that is just ending, so a check that did not take place is made again."""

OPENVINO = "OpenVINO: built"
"""In what CMake says of the build."""


@dataclass(frozen=True)
class Programs:
    """What was built."""

    folder: Path
    run: Path
    probe: Path
    allocations: Path
    openvino: bool
    """Whether OpenVINO was found."""


def call(*command: object, status: int = 0, **options) -> subprocess.CompletedProcess[str]:
    """Run a program that has to end with this status."""
    words, text = [str(word) for word in command], options.pop("text", True)
    for _ in range(LEAK_CHECKS):
        found = subprocess.run(words, capture_output=True, text=text, **options)
        if LEAK_CHECK_FAILED not in f"{found.stdout!r}{found.stderr!r}":
            break
    assert found.returncode == status, (words, found.stdout[-2000:], found.stderr[-4000:])
    return found


def package_folder(name: str) -> Path | None:
    found = importlib.util.find_spec(name)
    return Path(found.submodule_search_locations[0]) if found and found.submodule_search_locations else None


def onnxruntime_folder() -> Path | None:
    return package_folder("onnxruntime")


@pytest.fixture(scope="session")
def programs() -> Programs:
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("no cmake or no C++ compiler; cpp/prepare_debian.sh installs both")
    folder = onnxruntime_folder()
    if folder is None or not list(folder.glob("capi/libonnxruntime.so.*")):
        pytest.skip("this onnxruntime has no shared library")
    if SANITIZERS:
        # Else OpenVINO's threads load a library in a way that AddressSanitizer refuses.
        os.environ["TBB_ENABLE_SANITIZERS"] = "1"
    openvino = package_folder("openvino")
    configured = subprocess.run(
        [
            *("cmake", "-S", ROOT, "-B", FOLDER, f"-DONNXRUNTIME_ROOT={folder}", "-DMGHFT_WERROR=ON"),
            f"-DOpenVINO_DIR={openvino / 'cmake' if openvino else ''}",
            # Without optimisation, since most of the time here goes into compiling.
            *("-DCMAKE_BUILD_TYPE=None", "-DMGHFT_CUDA=OFF", f"-DMGHFT_SANITIZE={SANITIZERS}"),
        ],
        capture_output=True,
        text=True,
    )
    if configured.returncode:
        missing = [line.strip() for line in configured.stderr.splitlines() if "Could NOT find" in line]
        # What is not installed is a reason to skip; a mistake in our own files is not.
        assert missing, configured.stderr
        pytest.skip(f"{missing[0]}; cpp/prepare_debian.sh installs what is missing")
    call("cmake", "--build", FOLDER, "--parallel", os.cpu_count() or 1)
    tests = FOLDER / "cpp" / "tests"
    return Programs(
        FOLDER,
        FOLDER / "mghft-run",
        tests / "mghft-probe",
        tests / "mghft-allocations",
        OPENVINO in configured.stdout,
    )
