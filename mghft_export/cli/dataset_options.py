"""How a data set is to be read, as several commands take it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mghft_export.cli.columns_option import columns_option
from mghft_export.cli.layout_option import layout_option

Command = TypeVar("Command", bound=Callable[..., Any])


def parse_class_map(ctx: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, str]:
    """`sorrow=sadness,hate=disgust`, or a JSON file with such a mapping."""
    if value is None:
        return {}
    if "=" not in value:
        try:
            found = json.loads(Path(value).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise click.BadParameter(
                f"{value!r} is neither a JSON file nor pairs such as sorrow=sadness,hate=disgust"
            ) from error
        if not isinstance(found, dict) or not all(
            isinstance(name, str) and name.strip() for name in found.values()
        ):
            raise click.BadParameter(
                f'{value} maps no labels; write an object such as {{"sorrow": "sadness"}}'
            )
        return found
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    if not all(said.strip() and name.strip() for said, _, name in pairs):
        raise click.BadParameter(f"{value!r} maps no labels; write pairs such as sorrow=sadness,hate=disgust")
    return {said.strip(): name.strip() for said, _, name in pairs}


def dataset_options(command: Command) -> Command:
    """`--format`, `--columns` and `--class-map`, as the arguments `layout`, `columns` and `class_map`."""
    class_map = click.option(
        "--class-map",
        callback=parse_class_map,
        metavar="LABEL=CLASS,...",
        help="What labels mean: pairs, or a JSON file with them. Case and white space do not matter.",
    )
    return layout_option(columns_option(class_map(command)))
