"""Prints the comparison of one model and batch size as a table of at most 80 columns, with notes and verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from peer_verdict import sentence
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text


def cell_output(cell: dict[str, Any]) -> Iterator[Table | Text]:
    """The table, then a line for each row with notes or a failure, then the verdicts."""
    yield _table(cell)
    for row in cell["rows"]:
        remarks = [row["failure"] and f"not run: {row['failure']}", row["note"], row["no_agreement"]]
        remarks += ["(alone) had no room beside the other rows, and ran after them"] if row["alone"] else []
        said = "; ".join(remark for remark in remarks if remark)
        if said:
            yield Text(f"{row['name']}: {said}", "yellow" if row["failure"] else "dim")
    for verdict in cell["verdicts"]:
        yield Text(sentence(verdict), "bold red" if verdict["outcome"] == "behind" else "bold")


def _table(cell: dict[str, Any]) -> Table:
    title = Text(f"{cell['model']}, batch {cell['batch']}")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title)
    table.add_column("how", no_wrap=True)
    for heading in ("ms", "speed", "differs", "cosine", "patches"):
        table.add_column(heading, justify="right", no_wrap=True)
    measured = [row for row in cell["rows"] if row["failure"] is None]
    for row, following in zip(measured, [*measured[1:], None], strict=True):
        ends = following is not None and following["side"] != row["side"]
        table.add_row(Text(row["name"]), _short(row["median_ms"]), _speed(row), *_near(row), end_section=ends)
    return table


def _speed(row: dict[str, Any]) -> str:
    gain = row["speed_up"]
    if gain is None:
        return "1"
    return f"{_short(gain['median'])} ({_short(gain['low'])}-{_short(gain['high'])})"


def _short(value: float) -> str:
    """The number with three digits, or with all digits of its whole part if there are more."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _near(row: dict[str, Any]) -> tuple[str, str, str]:
    found = row["agreement"]
    if found is None:
        return "", "", ""
    selected = "" if found["selected"] is None else f"{found['selected']:.1%}"
    return f"{found['class_token']:.1e}", f"{found['cosine']:.5f}", selected
