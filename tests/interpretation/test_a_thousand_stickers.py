"""A thousand stickers, a server with failures, a kill in the middle: every sticker is described exactly once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import psutil
import pytest
from interpretation.chat_server import Asked, Reply, good_answer, serving
from interpretation.conftest import draw_stickers

pytest.importorskip("openai")

from mghft_export.interpretation.journal import read_places
from mghft_export.stickers.views import split_views

COUNT = 1000
CONCURRENCY = 16
KILL_AFTER = 400
"""Stickers."""
MOST_MEGABYTES = 250
"""Of which the interpreter with its libraries takes about 130 before it reads the first sticker."""


def five_in_a_hundred_fail(asked: Asked) -> Reply:
    """One request in twenty gets one of five troubles, by the sticker, the first time it is asked about."""
    kind = zlib.crc32(asked.sticker.encode()) % 100
    if asked.number > 1 or kind >= 5:
        return Reply(good_answer(asked))
    leak = json.dumps(dict.fromkeys(asked.keys, "It is so very angry that smoke comes out."))
    return (
        Reply(status=500),
        Reply(status=429, headers={"retry-after": "0.05"}),
        Reply(hang_up=True),
        Reply("Here it is: {"),
        Reply(leak),
    )[kind]


def start(folder: Path, output: Path, url: str) -> subprocess.Popen[str]:
    code = "import sys; from mghft_export.cli.main import cli, run; sys.exit(run(cli, sys.argv[1:]))"
    command = [sys.executable, "-c", code, "interpret", str(folder), "-o", str(output), "--endpoint", url]
    command += ["--concurrency", str(CONCURRENCY), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[dict[str, object], float]:
    """Its result and the most memory it took, in megabytes."""
    watched, most = psutil.Process(process.pid), 0.0
    while process.poll() is None:
        try:
            most = max(most, watched.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    out, err = process.communicate()
    assert process.returncode == 0, err
    result: dict[str, object] = json.loads(out)
    return result, most


def test_killed_in_the_middle_every_sticker_is_described_exactly_once(tmp_path: Path) -> None:
    thousand = draw_stickers(tmp_path / "stickers", COUNT)
    output = tmp_path / "texts.jsonl"
    journal = tmp_path / "texts.journal.jsonl"
    with serving(five_in_a_hundred_fail) as server:
        server.keep = False
        killed = start(thousand, output, server.url)
        while not journal.is_file() or journal.read_bytes().count(b"\n") < KILL_AFTER:
            assert killed.poll() is None, killed.communicate()
            time.sleep(0.01)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
        assert not output.exists()
        kept = journal.read_bytes().count(b"\n")

        result, megabytes = finish(start(thousand, output, server.url))
        assert result["reused"] == kept
        assert result["described"] == COUNT - kept
        assert result["failures"] == []
        asked = server.asked.total()

        result, _ = finish(start(thousand, output, server.url))  # and once more: nothing is left to do
        assert (result["reused"], result["described"]) == (COUNT, 0)
        assert server.asked.total() == asked

    described = Counter(record.image for _, record in read_places(journal))
    assert len(described) == COUNT
    assert set(described.values()) == {1}
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len({row["image"] for row in rows}) == len(rows) == COUNT
    assert len({row["text"] for row in rows}) == COUNT
    assert all(split_views(row["text"]).missing == () for row in rows)
    # What was under way when the process was killed is asked again; troubles are asked again; nothing else is.
    troubled = sum(zlib.crc32(sticker.encode()) % 100 < 5 for sticker in server.asked)
    assert 20 <= troubled <= 80
    assert asked <= COUNT + troubled + 2 * CONCURRENCY
    assert megabytes < MOST_MEGABYTES
