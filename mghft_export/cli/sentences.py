"""Sentences for people: names of files in them are data, never markup, and one sentence stays one line."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from mghft_export.terminal import Terminal, visible

Part = str | tuple[str, str]


def sentence(*parts: Part) -> Text:
    """Parts in a row, plain or with a style: `sentence("written to ", (str(path), "bold"), ".")`."""
    return Text.assemble(
        *(visible(part) if isinstance(part, str) else (visible(part[0]), part[1]) for part in parts)
    )


def say(console: Console, *parts: Part) -> None:
    """Print :func:`sentence` on one line, which the terminal may wrap."""
    console.print(sentence(*parts), soft_wrap=True)


def say_error(console: Console, error: object) -> None:
    """Name what went wrong."""
    say(console, ("error:", "bold red"), f" {error}")


def say_warning(console: Console, warning: object) -> None:
    """Name what a person should know."""
    say(console, ("warning:", "yellow"), f" {warning}")


def say_note(note: str | None) -> None:
    """Say on stderr what a person should keep in mind, where there is something."""
    if note is not None:
        say(Terminal(stderr=True), ("note:", "yellow"), f" {note}")
