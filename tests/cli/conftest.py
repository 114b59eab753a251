"""Shared by the tests of commands."""

from __future__ import annotations

import json

import pytest

from mghft_export.cli.main import cli, run


@pytest.fixture
def invoke(capsys):
    """A command as people call it: exit status, what it printed, and what it said on stderr."""

    def call(*arguments):
        status = run(cli, [str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def rows(output):
    """The objects of `--json` output, one a line."""
    return [json.loads(line) for line in output.splitlines()]
