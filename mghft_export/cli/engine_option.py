"""Options around `--engine`: trust in engines, and ONNX Runtime options that engines refuse."""

from __future__ import annotations

import os

import click
from click.core import ParameterSource

from mghft_export.engines.trust import TRUST_ENGINES
from mghft_export.errors import EngineError


def _vouch(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        os.environ[TRUST_ENGINES] = "1"  # also for processes that this one starts


trust_engine_option = click.option(
    "--trust-engine",
    is_flag=True,
    expose_value=False,
    callback=_vouch,
    help="Load engines that were built elsewhere. An engine is a program: use this only if you trust its builder.",
)
"""For commands that load engines."""


def refuse_with_engine(ctx: click.Context, engine: str | None, *options: str) -> None:
    """Refuse options that were given beside `--engine`.

    Raises:
        EngineError: one was given; the message names the first.
    """
    for option in options:
        if engine is not None and ctx.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            flag = "--" + option.replace("_", "-")
            raise EngineError(
                f"{flag} has no meaning for engines, which have their own; leave out one of the two"
            )
