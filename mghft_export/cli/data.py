"""`mghft-export data`: check a data set before it is used, and divide it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mghft_export.cli.dataset_options import Reading, dataset_options
from mghft_export.cli.output import echo_json, say, sentence
from mghft_export.errors import DataError
from mghft_export.stickers.dataset import StickerSet, require_usable
from mghft_export.stickers.datasets.overview import BERT_TOKENS, DatasetStatistics, Lengths, describe
from mghft_export.stickers.datasets.readiness import readiness, small_set_note
from mghft_export.stickers.datasets.splitting import (
    divide,
    parse_fractions,
    stickers_to_divide,
    write_division,
)
from mghft_export.stickers.datasets.table import WHOLE
from mghft_export.stickers.text_tokens import default_tokenizer_path
from mghft_export.terminal import Terminal


@click.group()
def data() -> None:
    """Look at data sets of stickers, and divide them into train, val and test."""


@data.command()
@click.argument("root", type=click.Path(path_type=Path))
@dataset_options
@click.option("--skip-bad", is_flag=True, help="Report bad rows without failing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def check(
    root: Path,
    reading: Reading,
    skip_bad: bool,
    as_json: bool,
) -> None:
    """Count the stickers of the data set in ROOT, list what is wrong with it, and say which commands will take it.

    ROOT is a folder, or a table of images, texts and labels. The exit status is 0 if every row can be used, or
    if --skip-bad is given and some rows can be used; otherwise 2.
    """
    stickers = reading.scan(root)
    tokenizer = default_tokenizer_path()
    statistics = describe(stickers, tokenizer if tokenizer.is_file() else None)
    if as_json:
        echo_json(_as_json(stickers, statistics))
    else:
        _print(stickers, statistics, Terminal())
    require_usable(stickers, skip_bad=skip_bad)


@data.command()
@click.argument("root", type=click.Path(path_type=Path))
@dataset_options
@click.option(
    "--fractions",
    default="80,10,10",
    show_default=True,
    metavar="TRAIN,VAL,TEST",
    help="Shares of the splits; a split with 0 is left out.",
)
@click.option(
    "--group",
    metavar="COLUMN",
    help="Keep stickers with the same value of this column in one split, for example the drawings of one character; "
    "use topic if the data set has topics.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the division.")
@click.option("--skip-bad", is_flag=True, help="Leave bad rows out instead of refusing the data set.")
def split(
    root: Path,
    reading: Reading,
    fractions: str,
    group: str | None,
    seed: int,
    skip_bad: bool,
) -> None:
    """Divide the data set in ROOT: write train.jsonl, val.jsonl, test.jsonl and classes.json into its folder.

    Every class is divided in proportion; equal images stay in one split. The same seed gives the same division.
    """
    parts = parse_fractions(fractions)
    if group is not None and group != "topic":
        reading = replace(reading, columns={**reading.columns, "topic": group})
    dataset = reading.load(root, skip_bad=skip_bad, need_texts=False)
    stickers = stickers_to_divide(dataset)
    if group is not None and not any(sticker.topic for sticker in stickers):
        raise DataError(f"{root} has no topics to group by; name the column with --group COLUMN")
    division = divide(stickers, parts, root=dataset.root, seed=seed, by_topic=group is not None)
    written = write_division(division, dataset.root, dataset.class_names)
    console = Terminal()
    divided = replace(dataset, splits=division.splits, problems=())
    console.print(_class_table(divided, describe(divided)))
    if group is not None:
        say(console, f"{division.groups} groups, each in one split.")
    say(console, "Written: ", (", ".join(file.name for file in written), "bold"), f" in {dataset.root}")
    say(console, "Next: ", (f"mghft-export data check {dataset.root}", "bold"))


def _as_json(stickers: StickerSet, statistics: DatasetStatistics) -> dict[str, object]:
    return {
        "root": str(stickers.root),
        "layout": stickers.layout,
        "classes": stickers.class_names,
        **asdict(statistics),
        "notes": stickers.notes,
        "ready": {command: why is None for command, why in readiness(stickers).items()},
        "in_the_way": {command: why for command, why in readiness(stickers).items() if why is not None},
        "problems": [
            {"kind": problem.kind.value, "count": problem.count, "examples": problem.examples}
            for problem in stickers.problems
        ],
    }


def _print(stickers: StickerSet, statistics: DatasetStatistics, console: Console) -> None:
    console.print(_class_table(stickers, statistics))
    if statistics.words:
        console.print(_length_table(statistics.words, statistics.tokens))
    for line in [*stickers.notes, *_text_notes(stickers, statistics)]:
        say(console, line)
    note = small_set_note(len(stickers.splits.get(WHOLE, stickers.splits.get("test", ()))))
    if note is not None:
        say(console, f"To measure on, {note}.")
    if stickers.problems:
        console.print(_problem_table(stickers))
    elif any(stickers.splits.values()):
        console.print("Every row can be used.")
    for command, why in readiness(stickers).items():
        words = ("will take it", "green") if why is None else ("will not take it", "yellow")
        say(console, f"mghft-export {command}: ", words, f": {why}." if why else ".")


def _class_table(stickers: StickerSet, statistics: DatasetStatistics) -> Table:
    table = Table("class", title=sentence(f"{stickers.root} ({stickers.layout})"))
    counts = statistics.class_counts
    for name in (*counts, "sum"):
        table.add_column(name, justify="right")
    for class_name in stickers.class_names:
        row = [split[class_name] for split in counts.values()]
        table.add_row(sentence(class_name), *map(str, row), str(sum(row)))
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
        notes.append(f"Texts of more than {BERT_TOKENS} tokens, cut at the end: {statistics.cut_texts}")
    return notes


def _problem_table(stickers: StickerSet) -> Table:
    table = Table("problem", title="Rows that cannot be used", show_lines=True)
    table.add_column("rows", justify="right")
    table.add_column("examples", overflow="fold")
    for problem in stickers.problems:
        more = [f"and {problem.count - len(problem.examples)} more"] * (problem.count > len(problem.examples))
        lines = Text("\n").join(sentence(line) for line in [*problem.examples, *more])
        table.add_row(problem.kind.value, str(problem.count), lines)
    return table
