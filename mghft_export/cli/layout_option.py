"""The layout of a data set, as several commands take it."""

from __future__ import annotations

from typing import get_args

import click

from mghft_export.stickers.dataset import Format

layout_option = click.option(
    "--format",
    "layout",
    type=click.Choice(get_args(Format)),
    default="auto",
    show_default=True,
    help="The layout of ROOT.",
)
