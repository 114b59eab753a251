"""JSON on standard output."""

from __future__ import annotations

import json

import click


def echo_json(value: object) -> None:
    """Print a value in UTF-8; in a name that is not UTF-8 odd bytes are escapes, which `os.fsencode` takes back."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    click.echo(text.encode("utf-8", "backslashreplace").decode())
