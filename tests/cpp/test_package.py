"""An installed libmghft: `find_package(mghft)`, and the examples in C++ and C."""

from __future__ import annotations

from pathlib import Path

import pytest
from cpp.conftest import ROOT, SANITIZERS, call


@pytest.fixture(scope="module")
def examples(programs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, built against what was installed."""
    folder = tmp_path_factory.mktemp("package")
    prefix, build = folder / "prefix", folder / "build"
    call("cmake", "--install", programs.folder, "--prefix", prefix)
    assert call(prefix / "bin" / "mghft-run", "--version").stdout.startswith("mghft-run 0.1")
    sanitize = f"-fsanitize={SANITIZERS}" if SANITIZERS else ""  # as the library was built
    warnings = "-Wall -Wextra -Werror -pedantic"
    call(
        *("cmake", "-S", ROOT / "cpp" / "examples", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}"),
        *(f"-DCMAKE_CXX_FLAGS={sanitize} {warnings}", f"-DCMAKE_C_FLAGS={sanitize} {warnings} -std=c99"),
    )
    call("cmake", "--build", build)
    return build


@pytest.mark.parametrize("program", ["classify_cpp", "classify_c"])
def test_examples_classify(programs, examples, tiny_bundle, small_set, program):
    sticker = small_set / "Images" / "noto" / "2620.png"
    found = call(examples / program, tiny_bundle, sticker, "a skull").stdout.splitlines()
    expected = call(programs.run, "predict", tiny_bundle, sticker, "--text", "a skull", "--json").stdout
    shares = dict(line.split() for line in found if " " in line)
    assert '"label":"' + max(shares, key=lambda name: float(shares[name])) + '"' in expected
    assert sum(map(float, shares.values())) == pytest.approx(1, abs=1e-4)
    assert "is not a bundle" in call(examples / program, "nothing", sticker, "a", status=2).stderr
    assert "there is no file" in call(examples / program, tiny_bundle, "nothing", "a", status=2).stderr


def test_the_example_in_cpp_is_short():
    lines = (ROOT / "cpp" / "examples" / "classify.cpp").read_text().splitlines()
    assert len(lines) <= 30
