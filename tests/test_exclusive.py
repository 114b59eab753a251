"""One process at a time holds a folder, and nothing is left in it."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from mghft_export.files.exclusive import exclusive

HOLD = """
import sys
from pathlib import Path
from mghft_export.files.exclusive import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [False, True])
def test_others_wait_until_the_holder_is_done_or_gone(tmp_path, killed):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    entered = threading.Event()

    def wait():
        with exclusive(tmp_path):
            entered.set()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert not entered.wait(0.3)
    if killed:
        holder.kill()
    holder.communicate(timeout=30)
    assert entered.wait(30)
    assert list(tmp_path.iterdir()) == []
