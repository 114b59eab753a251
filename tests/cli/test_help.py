"""Help texts: every option has one, which begins with what the option is, and all of it fits 80 columns."""

from __future__ import annotations

import importlib

import click
import pytest

from mghft_export.cli.bench import bench
from mghft_export.cli.main import COMMANDS


def commands():
    pytest.importorskip("torch")
    waiting = [("mghft-bench", bench)]
    for name, (module, attribute, _) in COMMANDS.items():
        waiting.append((f"mghft-export {name}", getattr(importlib.import_module(module), attribute)))
    found = []
    while waiting:
        name, command = waiting.pop()
        found.append((name, command))
        if isinstance(command, click.Group):
            context = click.Context(command)
            waiting += [
                (f"{name} {item}", command.get_command(context, item))
                for item in command.list_commands(context)
            ]
    return found


def test_every_option_says_what_it_is():
    texts = [
        (name, option.opts[0], option.help)
        for name, command in commands()
        for option in command.params
        if isinstance(option, click.Option) and option.name != "help"
    ]
    assert len(texts) > 100
    bare = {(name, option) for name, option, text in texts if not text}
    assert bare == set()
    for name, option, text in texts:
        assert not (text or "").startswith("Of "), (name, option, text)


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_help_fits_80_columns(number):
    name = list(COMMANDS)[number]
    module, attribute, _ = COMMANDS[name]
    command = getattr(importlib.import_module(module), attribute)
    text = command.get_help(click.Context(command, info_name=f"mghft-export {name}", terminal_width=80))
    assert max(map(len, text.splitlines())) <= 80
