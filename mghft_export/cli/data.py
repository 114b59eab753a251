"""``data``: look at a data set before it is used."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import cast

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mghft_export.cli.layout_option import layout_option
from mghft_export.stickers.dataset import Format, StickerSet, require_usable, scan_dataset
from mghft_export.stickers.datasets.statistics import BERT_TOKENS, DatasetStatistics, Lengths, describe
from mghft_export.stickers.tokens import default_tokenizer_path


@click.group()
def data() -> None:
    """Look at data sets of stickers."""


@data.command()
@click.argument("root", type=click.Path(path_type=Path))
@layout_option
@click.option("--skip-bad", is_flag=True, help="Report bad rows without failing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def check(root: Path, layout: str, skip_bad: bool, as_json: bool) -> None:
    """Count the stickers of the data set in ROOT and list what is wrong with it.

    Exits with 0 where every row can be used, or the others may be skipped, and else with 2.
    """
    stickers = scan_dataset(root, format=cast(Format, layout))
    tokenizer = default_tokenizer_path()
    statistics = describe(stickers, tokenizer if tokenizer.is_file() else None)
    if as_json:
        click.echo(json.dumps(_as_json(stickers, statistics), indent=1, ensure_ascii=False))
    else:
        _print(stickers, statistics, Console())
    require_usable(stickers, skip_bad=skip_bad)


def _as_json(stickers: StickerSet, statistics: DatasetStatistics) -> dict[str, object]:
    return {
        "root": str(stickers.root),
        "layout": stickers.layout,
        "classes": stickers.class_names,
        **asdict(statistics),
        "problems": [
            {"kind": problem.kind.value, "count": problem.count, "examples": problem.examples}
            for problem in stickers.problems
        ],
    }


def _print(stickers: StickerSet, statistics: DatasetStatistics, console: Console) -> None:
    console.print(_class_table(stickers, statistics))
    if statistics.words:
        console.print(_length_table(statistics.words, statistics.tokens))
    for line in _text_notes(stickers, statistics):
        console.print(Text(line))
    if stickers.problems:
        console.print(_problem_table(stickers))
    else:
        console.print("Every row can be used.")


def _class_table(stickers: StickerSet, statistics: DatasetStatistics) -> Table:
    table = Table("class", title=Text(f"{stickers.root} ({stickers.layout})"))
    counts = statistics.class_counts
    for name in (*counts, "sum"):
        table.add_column(name, justify="right")
    for class_name in stickers.class_names:
        row = [split[class_name] for split in counts.values()]
        table.add_row(Text(class_name), *map(str, row), str(sum(row)))
    table.add_section()
    sums = [sum(split.values()) for split in counts.values()]
    table.add_row("sum", *map(str, sums), str(sum(sums)))
    return table


def _length_table(words: Lengths, tokens: Lengths | None) -> Table:
    table = Table("text length", title="Texts")
    for name in asdict(words):
        table.add_column(name, justify="right")
    table.add_row("words", *map(str, asdict(words).values()))
    if tokens:
        table.add_row("tokens", *map(str, asdict(tokens).values()))
    return table


def _text_notes(stickers: StickerSet, statistics: DatasetStatistics) -> list[str]:
    views = ", ".join(f"{view}: {count}" for view, count in statistics.missing_views.items() if count)
    notes = [f"Texts that miss a view: {statistics.incomplete}" + (f" ({views})" if views else "")]
    if statistics.without_text:
        notes.append(f"Stickers without a text: {statistics.without_text}")
    if statistics.cut_texts:
        notes.append(f"Texts of more than {BERT_TOKENS} tokens, which lose their end: {statistics.cut_texts}")
    return notes


def _problem_table(stickers: StickerSet) -> Table:
    table = Table("problem", title="Rows that cannot be used", show_lines=True)
    table.add_column("rows", justify="right")
    table.add_column("examples", overflow="fold")
    for problem in stickers.problems:
        more = [f"and {problem.count - len(problem.examples)} more"] * (problem.count > len(problem.examples))
        lines = "\n".join([*problem.examples, *more])
        table.add_row(problem.kind.value, str(problem.count), Text(lines))
    return table
