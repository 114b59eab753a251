"""Options that list names: `--columns`, and names with commas between them."""

from __future__ import annotations

import click

from mghft_export.stickers.datasets.table_files import ROLES


def parse_columns(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`image=file,text=caption` as a mapping from roles."""
    found: dict[str, str] = {}
    for pair in ",".join(values).split(",") if values else ():
        role, equals, column = pair.partition("=")
        if not equals or role.strip() not in ROLES or not column.strip():
            raise click.BadParameter(
                f"{pair!r} names no column; write ROLE=NAME, with one of the roles {', '.join(ROLES)}"
            )
        found[role.strip()] = column.strip()
    return found


columns_option = click.option(
    "--columns",
    multiple=True,
    callback=parse_columns,
    metavar="ROLE=NAME",
    help="Names of a table's columns, for example image=file,text=caption; roles: " + ", ".join(ROLES) + ".",
)


def comma_names(words: str | None) -> tuple[str, ...]:
    """The names in `a, b`; an empty tuple for None or empty text."""
    return tuple(name.strip() for name in (words or "").split(",") if name.strip())
