"""A journal loses nothing that was finished, repairs what was not, and belongs to one process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("filelock")

from mghft_export.errors import InterpreterError
from mghft_export.interpretation.ask import Manner
from mghft_export.interpretation.corpus import Corpus, Item
from mghft_export.interpretation.journal import Journal, read_places
from mghft_export.interpretation.record import Record, Source
from mghft_export.interpretation.rules import Rules
from mghft_export.interpretation.running import plan
from mghft_export.stickers.views import VIEWS

SOURCE = Source("tiny-vl", "1", "English")
GOOD = dict.fromkeys(VIEWS, "eight words are enough for any view here")


def record(
    number: int, source: Source = SOURCE, views: dict[str, str] = GOOD, failure: str | None = None
) -> Record:
    return Record(
        image=f"{number:064x}",
        model=source.model,
        prompt=source.prompt,
        language=source.language,
        file=f"{number}.png",
        views=views,
        failure=failure,
        requests=1,
    )


def corpus(*numbers: int) -> Corpus:
    items = tuple(Item(Path(f"{number}.png")) for number in numbers)
    return Corpus(
        items, {item.image: f"{number:064x}" for item, number in zip(items, numbers, strict=True)}, {}
    )


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "texts.journal.jsonl"
    with Journal(path, SOURCE) as kept:
        for number in range(3):
            kept.append(record(number))
    return path


def test_records_come_back(journal: Path) -> None:
    with Journal(journal, SOURCE) as kept:
        assert kept.find(f"{1:064x}") == record(1)
        assert kept.find(f"{9:064x}") is None
    assert [found for _, found in read_places(journal)] == [record(number) for number in range(3)]


def test_lines_are_on_the_disk_before_the_next_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    path = tmp_path / "j.jsonl"
    monkeypatch.setattr("os.fsync", lambda handle: synced.append(path.read_bytes()))
    with Journal(path, SOURCE) as kept:
        kept.append(record(0))
        kept.append(record(1))
    assert [content.count(b"\n") for content in synced] == [1, 2]


def test_of_several_records_of_an_image_the_last_counts(journal: Path) -> None:
    with Journal(journal, SOURCE) as kept:
        kept.append(record(1, failure="no"))
    with Journal(journal, SOURCE) as kept:
        found = kept.find(f"{1:064x}")
        assert found is not None
        assert found.failure == "no"
        assert kept.description(f"{1:064x}", Rules()) is None


@pytest.mark.parametrize(
    "other",
    [Source("another", "1", "English"), Source("tiny-vl", "2", "English"), Source("tiny-vl", "1", "German")],
)
def test_another_model_prompt_or_language_begins_anew_in_the_same_file(journal: Path, other: Source) -> None:
    with Journal(journal, other) as kept:
        assert kept.find(f"{1:064x}") is None
        kept.append(record(1, other))
    with Journal(journal, SOURCE) as kept:
        assert kept.find(f"{1:064x}") == record(1)


def test_a_line_torn_at_any_byte_is_cut_off_and_the_others_stay(journal: Path) -> None:
    whole = journal.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in (last, *range(last + 1, len(whole), 17), len(whole) - 1):
        journal.write_bytes(whole[:end])
        assert len(list(read_places(journal))) == 2
        with Journal(journal, SOURCE) as kept:
            assert kept.find(f"{2:064x}") is None
            kept.append(record(2))
        assert journal.read_bytes() == whole


@pytest.mark.parametrize("written", [0, 5, 40, 120])
def test_zeros_of_a_power_cut_are_cut_off(journal: Path, written: int) -> None:
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole[:written] + b"\0" * 100)
    with Journal(journal, SOURCE):
        pass
    assert journal.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [
        b"my notes",
        b"my notes\n",
        b'{"image": "a.png", "text": "x"}\n',
        b'{"image":"a.png","text":"x"}\n',
        b'{"image":"a.png","text":"x"}',
        b'{"image":"' + b"0" * 64 + b'","label":"x"}\n',
        b"\0\0\n",
        b"\n\n",
    ],
)
def test_a_file_of_something_else_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(InterpreterError, match="no record of the interpreter"):
        Journal(path, SOURCE)
    assert path.read_bytes() == content


def test_a_damaged_line_within_is_named(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[1][:50] + b"\n" + lines[2])
    with pytest.raises(InterpreterError, match="line 2 of"):
        Journal(journal, SOURCE)


def test_two_processes_cannot_write_to_one_journal(journal: Path) -> None:
    code = f"""
from pathlib import Path
from mghft_export.interpretation.journal import Journal
from mghft_export.interpretation.record import Source
Journal(Path({str(journal)!r}), Source("a", "1", "b"))
"""
    with Journal(journal, SOURCE):
        refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another process writes to" in refused.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_full_disk_is_one_sentence_and_leaves_whole_lines(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with Journal(journal, SOURCE) as kept:
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(InterpreterError, match="No space left on device; free some space"):
            kept.append(record(7))


def test_what_is_described_is_not_planned_again_and_failures_only_on_demand(journal: Path) -> None:
    with Journal(journal, SOURCE) as kept:
        kept.append(record(3, views={"style": GOOD["style"]}, failure="gesture: it was missing"))
        todo = plan(corpus(0, 1, 2, 3, 4), kept, Manner())
        assert [work.image.name for work in todo] == ["4.png"]
        todo = plan(corpus(0, 1, 2, 3, 4), kept, Manner(), retry_failed=True)
        assert [work.image.name for work in todo] == ["3.png", "4.png"]
        assert todo[0].views == {"style": GOOD["style"]}


def test_descriptions_that_break_the_rules_of_this_run_are_planned_again_but_for_their_good_views(
    tmp_path: Path,
) -> None:
    with Journal(tmp_path / "j.jsonl", SOURCE) as kept:
        kept.append(record(0, views={**GOOD, "gesture": "it looks angry and hits the table with a paw"}))
        assert plan(corpus(0), kept, Manner(rules=Rules(labels=()))) == []
        (work,) = plan(corpus(0), kept, Manner())
    assert set(work.views) == {"intention", "style", "main role"}


@pytest.mark.parametrize("content", [b"{", b'{"im', b"\0" * 9, b"notes"])
def test_a_foreign_file_is_not_emptied(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(InterpreterError, match="no record of the interpreter"):
        Journal(path, SOURCE)
    assert path.read_bytes() == content
