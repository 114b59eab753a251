"""Options that say how to read a data set, for several commands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast, get_args

import click

from mghft_export.cli.columns_option import columns_option
from mghft_export.errors import MGHFTError
from mghft_export.files.foreign_json import parse_json
from mghft_export.stickers.dataset import Format, StickerSet, load_dataset, scan_dataset

Result = TypeVar("Result")


@dataclass(frozen=True)
class Reading:
    """How to read a data set: its layout, the names of its columns, and the classes of its labels."""

    layout: Format
    columns: Mapping[str, str]
    class_map: Mapping[str, str]

    def load(self, root: Path, *, skip_bad: bool = False, need_texts: bool = True) -> StickerSet:
        """Load the data set; refuse it if a row cannot be used, or leave these rows out with `skip_bad`."""
        return load_dataset(
            root,
            format=self.layout,
            label_map=self.class_map,
            columns=self.columns,
            skip_bad=skip_bad,
            need_texts=need_texts,
        )

    def refuse_without(self, data: Path | None, option: str) -> None:
        """Refuse options about a data set if no data set is given.

        Args:
            option: the option that gives a data set, as a user types it.
        """
        if data is None and (self.layout != "auto" or self.columns or self.class_map):
            raise MGHFTError(f"--format, --columns and --class-map describe a data set; add {option}")

    def scan(self, root: Path) -> StickerSet:
        """Read the data set, with a list of its problems."""
        return scan_dataset(root, format=self.layout, label_map=self.class_map, columns=self.columns)


def parse_class_map(ctx: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, str]:
    """Parse `sorrow=sadness,hate=disgust`, or read a JSON file with this mapping."""
    if value is None:
        return {}
    if "=" not in value:
        try:
            found = parse_json(Path(value).read_text(encoding="utf-8"))
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


def dataset_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Add `--format`, `--columns` and `--class-map`; the command gets them as one argument `reading`."""

    @functools.wraps(command)
    def with_reading(
        *arguments: object,
        layout: str,
        columns: Mapping[str, str],
        class_map: Mapping[str, str],
        **others: object,
    ) -> Result:
        return command(*arguments, reading=Reading(cast(Format, layout), columns, class_map), **others)

    layout_option = click.option(
        "--format",
        "layout",
        type=click.Choice(get_args(Format)),
        default="auto",
        show_default=True,
        help="The layout of the data set.",
    )
    class_map_option = click.option(
        "--class-map",
        callback=parse_class_map,
        metavar="LABEL=CLASS,...",
        help="Classes that labels mean: pairs, or a JSON file with them. Case and white space do not matter.",
    )
    return layout_option(columns_option(class_map_option(with_reading)))
