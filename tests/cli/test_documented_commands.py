"""Every command in the documents is one that the programs take."""

from __future__ import annotations

import re
import shlex
from itertools import groupby
from pathlib import Path

import click
import pytest

pytest.importorskip("torch")

from mghft_export.cli.bench import bench
from mghft_export.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = {"mghft-export": cli, "mghft-bench": bench}


def words_of(line):
    """The words of each command of a line, up to a redirection."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.commenters, lexer.whitespace_split = "#", True
    for separates, group in groupby(lexer, lambda word: word in ("|", "&&", ";", ">", "<")):
        if not separates:
            yield list(group)


def documented():
    """Program and arguments, as they stand in the blocks of all pages."""
    found = []
    for page in PAGES:
        for block in re.findall(
            r"```(?:console|bash|sh)?\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
        ):
            for line in block.replace("\\\n", " ").splitlines():
                if not re.search(r"\bmghft-(export|bench) ", line):
                    continue
                for words in words_of(line):
                    names = [Path(word).name for word in words]
                    for program in PROGRAMS.keys() & set(names):
                        arguments = words[names.index(program) + 1 :]
                        if arguments[-1:] == ["..."] and not arguments[-2].startswith("-"):
                            arguments.pop()
                        found.append(pytest.param(program, arguments, id=f"{page.stem}: {line.strip()}"[:90]))
    return found


@pytest.mark.parametrize(("program", "arguments"), documented())
def test_it_is_taken(program, arguments, monkeypatch):
    monkeypatch.delenv("MGHFT_TRUST_ENGINES", raising=False)
    taken = []

    def note(self, context):
        if not isinstance(self, click.Group):
            taken.append(self.name)

    with monkeypatch.context() as patched:
        patched.setattr(click.Command, "invoke", note)
        PROGRAMS[program].main(list(arguments), prog_name=program, standalone_mode=False)
    assert len(taken) == 1


def test_the_pages_have_commands():
    assert len(documented()) > 60
