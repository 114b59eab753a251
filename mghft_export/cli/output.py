"""What commands print: sentences, warnings and JSON. File names in them are data, never markup."""

from __future__ import annotations

import json
import re

import click
from rich.console import Console
from rich.text import Text

from mghft_export.bundle import Manifest
from mghft_export.cpu_features import cpu_flags
from mghft_export.evaluation.verification.precision_warning import (
    judgement_note,
    precision_warning,
    saturation_warning,
)
from mghft_export.terminal import Terminal, visible

DRAWN = {"sticker": "stickers", "stem": "file stems", "topic": "topics"}
"""Words for what a bootstrap draws."""

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


_UNSHOWN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that `json.dumps` keeps and :func:`mghft_export.terminal.visible` escapes."""


def json_text(value: object) -> str:
    """A value as JSON text that fits into UTF-8.

    Bytes of a name that are not UTF-8 become escapes, which `os.fsencode` reverses. Characters that control a terminal
    are escaped, too.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def echo_json(value: object) -> None:
    """Print a value as :func:`json_text`."""
    click.echo(json_text(value))


def warn_of_precision(manifest: Manifest, precision: str) -> None:
    """Warn on stderr if, by the manifest, a precision misses its budget or can overflow on this CPU."""
    for sentence in (
        precision_warning(manifest, precision),
        saturation_warning(manifest, precision, cpu_flags()),
    ):
        if sentence is not None:
            say_warning(Terminal(stderr=True), sentence)
    say_note(judgement_note(manifest, precision))
