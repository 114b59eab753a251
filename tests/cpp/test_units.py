"""What `ctest` runs."""

from __future__ import annotations

from cpp.conftest import call


def test_ctest(programs):
    found = call("ctest", "--test-dir", programs.folder, "--output-on-failure")
    assert "100% tests passed" in found.stdout
