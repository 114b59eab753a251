"""`--engine`, where ONNX Runtime's options have no meaning."""

from __future__ import annotations

import click
from click.core import ParameterSource

from mghft_export.errors import EngineError


def refuse_with_engine(ctx: click.Context, engine: str | None, *options: str) -> None:
    """Refuse options that were given beside `--engine`.

    Raises:
        EngineError: names the first one.
    """
    for option in options:
        if engine is not None and ctx.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            flag = "--" + option.replace("_", "-")
            raise EngineError(
                f"{flag} has no meaning for engines, which have their own; leave out one of the two"
            )
