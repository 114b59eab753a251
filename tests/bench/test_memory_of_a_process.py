"""The peak memory of a process is its own, not that of the process that started it."""

from __future__ import annotations

import subprocess
import sys

import pytest

SMALL = "from mghft_export.bench.memory import own_peak_bytes; print(own_peak_bytes())"
BIG = f"""
import subprocess, sys
from mghft_export.bench.memory import own_peak_bytes
kept = bytearray(600_000_000)
print(own_peak_bytes())
print(subprocess.run([sys.executable, "-c", {SMALL!r}], capture_output=True, text=True, check=True).stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not pass the peak on")
def test_a_started_process_does_not_inherit_the_peak():
    done = subprocess.run([sys.executable, "-c", BIG], capture_output=True, text=True, check=True)
    big, small = map(int, done.stdout.split())
    assert big > 600e6
    assert 5e6 < small < 300e6
