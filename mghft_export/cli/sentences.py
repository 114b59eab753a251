"""Messages for users. File names in them are data, never markup, and each message stays on one line."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from mghft_export.terminal import Terminal, visible

Part = str | tuple[str, str]


def sentence(*parts: Part) -> Text:
    """Join parts, plain or with a style: `sentence("written to ", (str(path), "bold"), ".")`."""
    return Text.assemble(
        *(visible(part) if isinstance(part, str) else (visible(part[0]), part[1]) for part in parts)
    )


def say(console: Console, *parts: Part) -> None:
    """Print :func:`sentence` on one line, which the terminal may wrap."""
    console.print(sentence(*parts), soft_wrap=True)


def say_error(console: Console, error: object) -> None:
    """Print an error."""
    say(console, ("error:", "bold red"), f" {error}")


def say_warning(console: Console, warning: object) -> None:
    """Print a warning."""
    say(console, ("warning:", "yellow"), f" {warning}")


def say_note(note: str | None) -> None:
    """Print a note on stderr, if there is one."""
    if note is not None:
        say(Terminal(stderr=True), ("note:", "yellow"), f" {note}")
