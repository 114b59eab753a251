"""Notes below a table: rows that did not run or were cut short, and speed-ups that the table's times contradict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mghft_export.bench.records import ComparisonRecord, RowRecord
from mghft_export.bench.subjects import NO_GPU

FEW_NAMES = 3
"""Most rows that a note names; if there are more, it gives their number."""


REMARKED = "†"
"""Mark behind a "same class" share that says less than it seems."""

TOLERANCE = 0.05
"""Share by which a ratio may lie outside its interval; with one or two rounds, an interval is narrow by chance."""


def is_left_out(row: RowRecord) -> bool:
    """Whether the machine cannot run a row; records of older versions have only the reason."""
    return row.left_out if row.left_out is not None else str(row.failure).startswith(NO_GPU)


def left_out_lines(comparisons: Iterable[ComparisonRecord]) -> list[str]:
    """One line for each thing that the machine lacks, for all comparisons together."""
    names: dict[str, dict[str, None]] = {}
    for comparison in comparisons:
        for row in comparison.rows:
            if is_left_out(row):
                names.setdefault(str(row.failure), {})[row.name] = None
    lines = []
    for reason, own in names.items():
        lacks, _, detail = reason.partition(": ")
        who = ", ".join(own) if len(own) <= FEW_NAMES else f"{len(own)} rows"
        lines.append(f"{lacks}: {who} left out" + (f" ({detail})" if detail else ""))
    return lines


def not_run_lines(comparison: ComparisonRecord) -> list[str]:
    """One line for each reason why rows of this comparison have no numbers, except what the machine lacks."""
    names: dict[str, list[str]] = {}
    for row in comparison.rows:
        if row.latency is None and not is_left_out(row):
            names.setdefault(str(row.failure), []).append(row.name)
    return [f"not run ({reason}): {', '.join(own)}" for reason, own in names.items()]


def cut_lines(comparison: ComparisonRecord) -> list[str]:
    """Rows with rounds that --budget or --max-duration cut."""
    lines = []
    for cut, option in (("budget", "--budget"), ("limit", "--max-duration")):
        own = [
            f"{row.name} ({len(row.round_ms)} of {comparison.rounds} rounds)"
            for row in comparison.rows
            if row.cut == cut
        ]
        if own:
            lines.append(f"cut short by {option}: {', '.join(own)}")
    return lines


def contradiction_lines(comparison: ComparisonRecord) -> list[str]:
    """Rows where the ratio of the table's times lies outside the interval of the speed-up.

    A row with all rounds is never among them, because both numbers come from the same medians.
    """
    measured = [row for row in comparison.rows if row.latency is not None]
    reference = next((row for row in measured if row.speed_up is None), None)
    lines = []
    for row in measured if reference is not None else ():
        gain = row.speed_up
        if reference is None or reference.latency is None or row.latency is None or gain is None:
            continue
        said = reference.latency.median / row.latency.median
        if not gain.low * (1 - TOLERANCE) <= said <= gain.high * (1 + TOLERANCE):
            shared = min(len(row.round_ms), len(reference.round_ms))
            lines.append(
                f"{row.name}: {gain.median:.1f}x in {_rounds(shared)} with {reference.name}, "
                f"{said:.1f}x by the times of all rounds"
            )
    return lines


def _rounds(number: int) -> str:
    return "the one round" if number == 1 else f"the {number} rounds"


def remark_lines(comparison: ComparisonRecord) -> list[str]:
    """Why "the same class" of marked rows says less than it seems; records of older versions have no remarks."""
    prices = [row.price for row in comparison.rows if row.latency is not None and row.price is not None]
    return [
        f"{REMARKED} {remark}" for remark in dict.fromkeys(one for price in prices for one in price.remarks)
    ]


def table_notes(comparison: ComparisonRecord) -> Sequence[str]:
    """All notes of one comparison, in the order of display."""
    return [
        *not_run_lines(comparison),
        *cut_lines(comparison),
        *contradiction_lines(comparison),
        *remark_lines(comparison),
    ]
