"""JSON for programs, on standard output and in files."""

from __future__ import annotations

import json
import re

import click

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
