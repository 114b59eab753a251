"""A group of commands with a default command."""

from __future__ import annotations

import click


class DefaultGroup(click.Group):
    """A group that passes anything but its own commands and options to `run`: `GROUP FILE` is `GROUP run FILE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {*self.commands, *(name for option in self.get_params(ctx) for name in option.opts)}
        if not args or args[0] not in own:
            args = ["run", *args]
        return super().parse_args(ctx, args)
