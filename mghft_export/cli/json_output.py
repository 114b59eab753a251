"""JSON for programs, on standard output and in files."""

from __future__ import annotations

import json
import re

import click

_UNSHOWN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What `json.dumps` leaves as it is and :func:`mghft_export.terminal.visible` does not."""


def json_text(value: object) -> str:
    """A value as text that UTF-8 holds; odd bytes of a name are escapes, which `os.fsencode` takes back.

    What would command a terminal is escaped, too.
    """
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def echo_json(value: object) -> None:
    """Print a value as :func:`json_text`."""
    click.echo(json_text(value))
