"""Tables of `mghft-bench`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mghft_export.bench.compare import Row
from mghft_export.bench.diff import Change, least_rounds
from mghft_export.bench.notes import table_notes
from mghft_export.bench.records import FEW, NOISY, ComparisonRecord, RowRecord, row_record
from mghft_export.bench.subjects import Subject
from mghft_export.bench.text_forms import HEADINGS, cells_of


def table(rows: list[Row], part: str, batch: int) -> Table:
    """A table of measured rows, without accuracy and roofline; the reference is 1.0x."""
    for row in rows:
        assert isinstance(row.subject, Subject)
    return _table(f"{part}, batch {batch}", [row_record(row) for row in rows])


def comparison_tables(comparison: ComparisonRecord) -> Iterator[Table | Text]:
    """The table of a comparison, and a line for each reason why rows did not run or were cut short.

    Rows that the machine cannot run are not included. :func:`~mghft_export.bench.notes.left_out_lines` lists them for
    all comparisons.
    """
    measured = [row for row in comparison.rows if row.latency is not None]
    if measured:
        title = f"{comparison.part}, batch {comparison.batch}, {comparison.tokens} tokens a text"
        yield _table(title, measured)
    for line in table_notes(comparison):
        yield Text(line if measured else f"{comparison.part}, batch {comparison.batch}: {line}", "yellow")
    for row in comparison.rows:
        if row.said:
            yield Text(f"{row.name} wrote:\n{row.said}", "dim")
    rates = comparison.machine_rates
    if rates is not None:
        yield Text(
            f"This machine: {rates.flops_per_second / 1e9:.0f} GFLOP/s in a float32 product, "
            f"{rates.bytes_per_second / 1e9:.1f} GB/s in a copy, in the same rounds.",
            "dim",
        )
    if any(row.is_noisy for row in measured):
        yield Text(f"~ varies by more than {NOISY:.1%}, or ran fewer than {FEW} times.", "yellow")
    if any(row.alone for row in measured):
        yield Text("(alone) had no room beside the other rows, and was measured after them.", "yellow")


def diff_table(changes: Sequence[Change]) -> Table:
    """One table row per measured row; it says which are slower or faster by more than the noise."""
    result = Table(box=SIMPLE_HEAD)
    for number, heading in enumerate(("row", "old ms", "new ms", "new / old", "")):
        result.add_column(heading, justify="right" if 0 < number < 4 else "left")
    for change in changes:
        if not change.ran:
            continue
        name = Text(f"{change.part}, batch {change.batch}, {change.name}")
        old, new = (_milliseconds(value) for value in (change.old, change.new))
        if change.ratio is None:
            result.add_row(name, old, new, "", Text(change.failure or "new"))
            continue
        if change.too_few:
            result.add_row(name, old, new, f"{change.ratio:.2f}", Text("too few rounds", "yellow"))
            continue
        verdict = (
            Text("slower", "red")
            if change.slower
            else Text("faster", "green")
            if change.faster
            else "the same"
        )
        interval = f"{change.ratio:.2f} ({change.low:.2f}-{change.high:.2f})"
        result.add_row(name, old, new, interval, verdict)
    return result


def diff_notes(changes: Sequence[Change], machine: Mapping[str, float]) -> Iterator[Text]:
    """How the ratios are corrected, and how many rounds would be enough.

    Args:
        machine: the result of :func:`~mghft_export.bench.diff.machine_changes`.
    """
    if machine:
        own = " and ".join(f"{ratio:.2f} times as long for a {name}" for name, ratio in machine.items())
        yield Text(f"The machine itself took {own}; new / old is corrected for that.", "dim")
    idle = sum(not change.ran for change in changes)
    if idle:
        yield Text(f"{idle} rows ran in neither result.", "yellow")
    if any(change.too_few for change in changes):
        least = least_rounds(changes)
        yield Text(
            f"Too few rounds: both results need at least {least}; raise --iterations or --budget.",
            "yellow",
        )


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _table(title: str, rows: Sequence[RowRecord]) -> Table:
    """A table within 80 columns; columns without any value are left out."""
    cells = [cells_of(row) for row in rows]
    known = [
        number
        for number in range(len(HEADINGS))
        if any(found is not None and found[number] != "-" for found in cells)
    ]
    result = Table(box=SIMPLE_HEAD, title=title, padding=(0, 1, 0, 0))
    for number in known or [0, 1]:
        heading = HEADINGS[number].replace(" ", "\n").replace("-", "-\n").replace("roofline", "roof-\nline")
        result.add_column(heading, justify="right" if number else "left", no_wrap=number > 0, min_width=6)
    for row, found in zip(rows, cells, strict=True):
        if found is None:
            result.add_row(Text(row.name), Text(f"not run: {row.failure}"))
            continue
        # Only files show the interval of a speed-up.
        short = [cell.partition(" (")[0] if number else cell for number, cell in enumerate(found)]
        result.add_row(*(Text(short[number]) for number in known))
    return result
