"""A record as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from mghft_export.bench.notes import REMARKED, contradiction_lines, cut_lines, remark_lines
from mghft_export.bench.records import Record, RowRecord

LATENCY = ("median", "mean", "minimum", "p90", "p95", "p99", "variation", "iterations", "stickers_per_second")
COLUMNS = (
    *("processor", "part", "batch", "name", *LATENCY),
    *("speed_up", "speed_up_low", "speed_up_high", "peak_bytes", "agreement", "macro_f1_change"),
    *("roofline_share", "failure", "rounds", "cut"),
)


def as_csv(records: Sequence[Record]) -> str:
    """One line per row, with times in milliseconds; unknown values are empty."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in records:
        for comparison in record.comparisons:
            for row in comparison.rows:
                gain, cost = row.speed_up, row.price
                writer.writerow(
                    [record.machine.processor, comparison.part, comparison.batch, row.name]
                    + [getattr(row.latency, name, None) for name in LATENCY]
                    + ([None] * 3 if gain is None else [gain.median, gain.low, gain.high])
                    + [row.peak_bytes or None]
                    + ([None] * 2 if cost is None else [cost.agreement, cost.macro_f1_change])
                    + [row.roofline_share, row.failure, len(row.round_ms), row.cut]
                )
    return output.getvalue()


def as_markdown(records: Sequence[Record]) -> str:
    """A table for each part and batch, as the terminal shows it."""
    parts = []
    for record in records:
        machine, provenance = record.machine, record.provenance
        parts.append(
            f"{machine.cores} cores of {machine.processor}; {provenance.producer}, "
            f"commit {(provenance.commit or 'unknown')[:8]}, {provenance.time}\n"
        )
        for comparison in record.comparisons:
            parts.append(f"### {comparison.part}, batch {comparison.batch}\n")
            parts.append("| " + " | ".join(HEADINGS) + " |\n|---|" + "---:|" * (len(HEADINGS) - 1))
            for row in comparison.rows:
                cells = cells_of(row)
                if cells is None:
                    cells = [row.name, f"not run: {row.failure}"] + [""] * (len(HEADINGS) - 2)
                parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            parts.append("")
            notes = [*cut_lines(comparison), *contradiction_lines(comparison), *remark_lines(comparison)]
            parts += [f"{note}\n" for note in notes]
    return "\n".join(parts)


HEADINGS = (
    "row",
    "median ms",
    "p95 ms",
    "per s",
    "speed-up",
    "memory GB",
    "roofline",
    "same class",
    "macro-F1",
)


def cells_of(row: RowRecord) -> list[str] | None:
    """A row's cells under :data:`HEADINGS`; None for a row that did not run. `~` marks a noisy row."""
    latency, gain, price = row.latency, row.speed_up, row.price
    if latency is None:
        return None
    share, change = row.roofline_share, price and price.macro_f1_change
    speed = "1.0x" if gain is None else f"{gain.median:.1f}x ({gain.low:.1f}-{gain.high:.1f})"
    return [
        row.name + (" (alone)" if row.alone else ""),
        ("~" if row.is_noisy else "") + short_number(latency.median),
        short_number(latency.p95),
        short_number(latency.stickers_per_second),
        speed,
        f"{row.peak_bytes / 1e9:.2f}",
        "-" if share is None else f"{share:.0%}",
        "-" if price is None else f"{price.agreement:.2%}" + REMARKED * bool(price.remarks),
        "-" if change is None else f"{change:+.3f}",
    ]


def short_number(value: float) -> str:
    """A number with three digits, or with all digits before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
