"""A group of commands one of which need not be named."""

from __future__ import annotations

import click


class DefaultGroup(click.Group):
    """What is neither a command nor an option of the group belongs to `run`: `GROUP FILE` is `GROUP run FILE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {*self.commands, *(name for option in self.get_params(ctx) for name in option.opts)}
        if not args or args[0] not in own:
            args = ["run", *args]
        return super().parse_args(ctx, args)
