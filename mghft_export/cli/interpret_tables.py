"""Output of `interpret`: rates and costs while it runs, and tables at the end."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mghft_export.interpretation.checking import TextReport
from mghft_export.interpretation.corpus import printable
from mghft_export.interpretation.cost import Prices
from mghft_export.interpretation.influence import InfluenceReport
from mghft_export.interpretation.interpret import Result
from mghft_export.interpretation.running import Progress

MOST_FAILURES = 20
"""Most rows of a table; JSON and the journal have all."""


def usage_words(progress: Progress, prices: Prices) -> str:
    """Rate, tokens and, with prices, the cost so far and in total."""
    usage = progress.usage
    words = f"{progress.rate:.1f}/s, {count_words(usage.tokens_in)} + {count_words(usage.tokens_out)} tokens"
    if progress.failed:
        words += f", {progress.failed} failed"
    if (cost := usage.cost(prices)) and progress.done:
        words += f", cost {cost:.2f} of about {cost * progress.total / progress.done:.2f}"
    return words


def count_words(count: int) -> str:
    """A count in about three digits."""
    for size, sign in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.1f}{sign}"
    return str(count)


def print_result(result: Result, prices: Prices, output: Path, journal: Path, console: Console) -> None:
    """Print a table of counts, a table of failures, and what to do next."""
    usage = result.usage
    table = Table(box=SIMPLE_HEAD, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_row("stickers", str(result.stickers))
    table.add_row("different images", str(result.distinct))
    table.add_row("described before", str(result.reused))
    table.add_row("described now", str(result.described))
    table.add_row("without a text", str(len(result.failures)))
    table.add_row("requests", str(usage.requests))
    table.add_row("tokens sent, received", f"{usage.tokens_in:,} + {usage.tokens_out:,}")
    if prices.tokens_in or prices.tokens_out:
        table.add_row("cost", f"{usage.cost(prices):.2f}")
    table.add_row("seconds", f"{result.seconds:.1f}")
    console.print(table)
    if result.failures:
        console.print(failure_table(result))
    lines = []
    if result.written:
        lines.append(f"{result.written} texts by {result.source.model} written to {printable(output)}.")
    if result.failures:
        lines.append("Run the same command with --retry-failed to try the others again.")
    if result.written and output.suffix == ".jsonl":
        lines.append(f"Look at them: mghft-export interpret check {printable(output)}")
    elif result.written:
        lines.append(f"Train on it: mghft-export train {printable(output)}")
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def failure_table(result: Result) -> Table:
    """A table of the first failures."""
    table = Table(box=SIMPLE_HEAD, title="Stickers without a text", padding=(0, 1, 0, 0))
    table.add_column("sticker", overflow="fold")
    table.add_column("why", overflow="fold")
    for failure in result.failures[:MOST_FAILURES]:
        table.add_row(Text(printable(failure.image)), Text(failure.reason))
    if len(result.failures) > MOST_FAILURES:
        table.add_row(f"and {len(result.failures) - MOST_FAILURES} more", "see the journal, or --json")
    return table


def report_tables(report: TextReport) -> list[Table]:
    """Tables of the views and of what was found in them."""
    views = Table(
        box=SIMPLE_HEAD,
        title=f"{report.stickers} texts, {report.complete} of them sound",
        padding=(0, 1, 0, 0),
    )
    views.add_column("view", style="bold")
    for name in ("missing", "too short", "too long", "names a class", "words p5", "p50", "p95"):
        views.add_column(name, justify="right")
    for view, found in report.views.items():
        counts = (found.missing, found.too_short, found.too_long, found.leaks)
        lengths = (found.words_p5, found.words_p50, found.words_p95)
        views.add_row(view, *map(str, (*counts, *lengths)))
    tables = [views]
    for title, counts_of in (
        ("Words that name a class", report.leaked_words),
        ("Views that say the same", report.near_duplicates),
    ):
        if counts_of:
            table = Table("what", box=SIMPLE_HEAD, title=title, padding=(0, 1, 0, 0))
            table.add_column("stickers" if "Views" in title else "views", justify="right")
            for name, count in list(counts_of.items())[:MOST_FAILURES]:
                table.add_row(Text(name), str(count))
            tables.append(table)
    if report.examples:
        table = Table("sticker", "view", "fault", box=SIMPLE_HEAD, title="Examples", padding=(0, 1, 0, 0))
        for example in report.examples:
            table.add_row(Text(str(example.image)), example.view, Text(example.what))
        tables.append(table)
    return tables


def influence_table(report: InfluenceReport, *, trained: bool) -> Table:
    """One row per view."""
    note = "" if trained else "; UNTRAINED MODEL: random weights, these numbers mean nothing"
    table = Table(
        box=SIMPLE_HEAD,
        title=f"What taking a view away changes, {report.stickers} stickers{note}",
        padding=(0, 1, 0, 0),
    )
    table.add_column("view", style="bold")
    for name in ("logits", "probabilities", "other class", "accuracy lost"):
        table.add_column(name, justify="right")
    for view, found in report.views.items():
        accuracy = "" if found.accuracy is None else f"{100 * found.accuracy:+.1f} points"
        table.add_row(view, f"{found.logits:.3f}", f"{found.probability:.1%}", f"{found.flips:.1%}", accuracy)
    return table
