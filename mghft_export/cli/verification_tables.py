"""Tables of a verification, for `verify` and `onnx`."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mghft_export.cli.drawn import DRAWN
from mghft_export.verification.budget import stickers_needed
from mghft_export.verification.result import MeasureChange, PrecisionVerification
from mghft_export.verification.warning import missed


def print_verifications(verified: Mapping[str, PrecisionVerification], console: Console) -> None:
    """Both tables, and a line for each precision that needs one."""
    data = next(iter(verified.values())).data
    console.print(Text(f"Against fp32 on the CPU; {data}", "bold"), soft_wrap=True)
    console.print(summary_table(verified))
    console.print(output_table(verified))
    remarks = {item.remark: None for item in verified.values() if item.remark is not None}
    for remark in remarks:
        names = ", ".join(name for name, item in verified.items() if item.remark == remark)
        console.print(
            Text(f"{names}: {remark}; for new ones: mghft-export verify BUNDLE --data ROOT", "yellow"),
            soft_wrap=True,
        )
    for name, item in verified.items():
        if item.passed is False:
            console.print(Text(f"{name} misses its budget: {missed(item)}", "bold red"), soft_wrap=True)
        elif item.passed is None:
            needed = stickers_needed(item.budget)
            more = f"verify on {needed:.0f} or more" if needed < float("inf") else "no flip is allowed"
            console.print(
                Text(f"{name}: one flip among {item.stickers} stickers decides nothing; {more}", "yellow"),
                soft_wrap=True,
            )


def summary_table(verified: Mapping[str, PrecisionVerification]) -> Table:
    """A row a measure, a column a precision."""
    first = next(iter(verified.values()))
    table = Table("", box=SIMPLE_HEAD)
    for name in verified:
        table.add_column(name, justify="right")
    items = list(verified.values())
    table.add_row("same class", *(f"{item.top1_agreement:.2%}" for item in items))
    table.add_row("flipped stickers", *(str(item.flips) for item in items))
    if all(item.flips_by_kind is not None for item in items):
        kinds = [item.flips_by_kind for item in items]
        table.add_row("  right in fp32 alone", *(str(kind.lost) for kind in kinds if kind))
        table.add_row("  wrong in fp32 alone", *(str(kind.won) for kind in kinds if kind))
        table.add_row("  wrong in both", *(str(kind.other) for kind in kinds if kind))
    for label, changes in (
        ("accuracy", [item.accuracy for item in items]),
        ("macro F1", [item.macro_f1 for item in items]),
    ):
        known = [change for change in changes if change is not None]
        if known:
            table.add_row(
                f"{label} (fp32: {known[0].fp32:.3f})", *(f"{item.precision:.3f}" for item in known)
            )
            table.add_row("  change, points", *(f"{100 * item.change:+.2f}" for item in known))
            table.add_row("  95 % interval", *(_interval(item) for item in known))
    for stage in first.selected_agreement:
        table.add_row(
            f"selected tokens, {stage}", *(f"{item.selected_agreement[stage]:.2%}" for item in items)
        )
    table.add_row("budget: same class", *(f"{item.budget.min_agreement:.2%}" for item in items))
    if first.macro_f1 is not None:
        table.add_row("budget: points of F1", *(f"{100 * item.budget.max_drop:.2f}" for item in items))
    table.add_row("held", *(_verdict(item.passed) for item in items))
    if first.macro_f1 is None:
        table.caption = "random weights: accuracy and F1 mean nothing"
    else:
        table.caption = f"intervals: paired bootstrap of {DRAWN[first.resample]}"
    return table


def output_table(verified: Mapping[str, PrecisionVerification]) -> Table:
    """A row an output, its largest difference and mean cosine for each precision."""
    table = Table("output", box=SIMPLE_HEAD, title="Outputs: largest difference, cosine")
    for name in verified:
        table.add_column(name, justify="right")
    columns = [{item.output: item for item in found.outputs} for found in verified.values()]
    for name in dict.fromkeys(name for column in columns for name in column):
        row = [column.get(name) for column in columns]  # None where no token was selected by both
        table.add_row(name, *(f"{item.max_abs:.1e}  {item.cosine:.5f}" if item else "" for item in row))
    table.caption = "tokens: those of patches that both select"
    return table


def _interval(item: MeasureChange) -> str:
    if item.interval is None:
        return ""
    low, high = item.interval
    return f"{100 * low:+.2f} to {100 * high:+.2f}"


def _verdict(passed: bool | None) -> Text:
    if passed is None:
        return Text("too few stickers", "yellow")
    return Text("yes", "green") if passed else Text("no", "bold red")
