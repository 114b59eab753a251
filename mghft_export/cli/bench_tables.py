"""Tables of `mghft-bench`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mghft_export.bench.compare import Row
from mghft_export.bench.diff import Change
from mghft_export.bench.record import NOISY, row_dict
from mghft_export.bench.subjects import Subject
from mghft_export.bench.text_forms import HEADINGS, cells_of


def table(rows: list[Row], part: str, batch: int) -> Table:
    """Rows as they were measured, without accuracy and roofline; the reference is 1.0x."""
    result = _empty(f"{part}, batch {batch}")
    for row in rows:
        assert isinstance(row.subject, Subject)
        _add(result, {**row_dict(row), "price": None, "roofline_share": None})
    return result


def comparison_tables(comparison: Mapping[str, Any]) -> Iterator[Table | Text]:
    """A comparison of a record, and a line for each reason why rows did not run."""
    result = _empty(
        f"{comparison['part']}, batch {comparison['batch']}, {comparison['tokens']} tokens a text"
    )
    reasons: dict[str, list[str]] = {}
    noisy = alone = False
    for row in comparison["rows"]:
        if row["latency"] is None:
            reasons.setdefault(row["failure"], []).append(row["name"])
            continue
        noisy |= row["latency"]["variation"] > NOISY
        alone |= row["alone"]
        _add(result, row)
    if result.row_count:
        yield result
    for reason, names in reasons.items():
        yield Text(f"not run ({reason}): {', '.join(names)}", "yellow")
    rates = comparison["machine_rates"]
    if rates is not None:
        yield Text(
            f"This machine: {rates['flops_per_second'] / 1e9:.0f} GFLOP/s in a float32 product, "
            f"{rates['bytes_per_second'] / 1e9:.1f} GB/s in a copy, in the same rounds.",
            "dim",
        )
    if noisy:
        yield Text(f"~ varies by more than {NOISY:.1%}: leave the machine alone and measure again.", "yellow")
    if alone:
        yield Text("(alone) had no room beside the other rows, and was measured after them.", "yellow")


def diff_table(changes: Sequence[Change]) -> Table:
    """A row a row; what is slower or faster beyond the noise is marked."""
    result = Table(box=SIMPLE_HEAD)
    for number, heading in enumerate(("row", "old ms", "new ms", "new / old", "")):
        result.add_column(heading, justify="right" if 0 < number < 4 else "left")
    for change in changes:
        name = f"{change.part}, batch {change.batch}, {change.name}"
        old, new = (_milliseconds(value) for value in (change.old, change.new))
        if change.ratio is None:
            result.add_row(name, old, new, "", change.failure or "new")
            continue
        verdict = "[red]slower[/]" if change.slower else "[green]faster[/]" if change.faster else "the same"
        result.add_row(name, old, new, f"{change.ratio:.2f} ({change.low:.2f}-{change.high:.2f})", verdict)
    return result


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _empty(title: str) -> Table:
    result = Table(box=SIMPLE_HEAD, title=title, padding=(0, 1, 0, 0))
    for number, heading in enumerate(HEADINGS):
        result.add_column(heading, justify="right" if number else "left", no_wrap=number in (0, 1, 4, 5))
    return result


def _add(result: Table, row: Mapping[str, Any]) -> None:
    cells = cells_of(row)
    if cells is None:
        result.add_row(Text(row["name"]), Text(f"not run: {row['failure']}"))
    else:
        # The interval of a speed-up is for the files: eighty columns have no room for it.
        result.add_row(
            *(Text(cell.partition(" (")[0] if number else cell) for number, cell in enumerate(cells))
        )
