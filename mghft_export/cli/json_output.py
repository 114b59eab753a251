"""JSON for programs, on standard output and in files."""

from __future__ import annotations

import json

import click


def json_text(value: object) -> str:
    """A value as text that UTF-8 holds; odd bytes of a name are escapes, which `os.fsencode` takes back."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()


def echo_json(value: object) -> None:
    """Print a value as :func:`json_text`."""
    click.echo(json_text(value))
