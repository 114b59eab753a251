"""Tables of a verification, for `verify` and `onnx`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mghft_export.bundle.verifications import (
    BranchVerification,
    MeasureChange,
    OutputChange,
    PrecisionVerification,
)
from mghft_export.cli.output import DRAWN
from mghft_export.evaluation.verification.accuracy_budget import stickers_needed
from mghft_export.evaluation.verification.neutral_inputs import PLACES
from mghft_export.evaluation.verification.precision_warning import missed, unjudged

SHORT = {PLACES["vision"]: "mean text", PLACES["text"]: "blank image"}
"""What replaces the other modality, in words for a narrow column."""


def print_verifications(verified: Mapping[str, PrecisionVerification], console: Console) -> None:
    """Print both tables, and a line for each precision that needs one."""
    data = next(iter(verified.values())).data
    console.print(Text(f"Against fp32 on the CPU; {data}", "bold"), soft_wrap=True)
    console.print(summary_table(verified))
    console.print(output_table(verified))
    remarks = {item.remark: None for item in verified.values() if item.remark is not None}
    for remark in remarks:
        names = ", ".join(name for name, item in verified.items() if item.remark == remark)
        console.print(
            Text(f"{names}: {remark}; for new stickers: mghft-export verify BUNDLE --data ROOT", "yellow"),
            soft_wrap=True,
        )
    for sentence in dict.fromkeys(line for item in verified.values() for line in unjudged(item)):
        console.print(
            Text(f"{sentence}; its outputs and the neutral logits do", "yellow"),
            soft_wrap=True,
        )
    for name, item in verified.items():
        if item.passed is False:
            console.print(Text(f"{name} misses its budget: {missed(item)}", "bold red"), soft_wrap=True)
        if item.classes_passed is None:
            needed = stickers_needed(item.budget)
            least = f"{100 * item.budget.min_agreement:.10g} % of the same class"
            console.print(
                Text(
                    f"{name}: {item.stickers} stickers are too few to tell whether {least} is held; "
                    f"verify on {needed} or more",
                    "yellow",
                ),
                soft_wrap=True,
            )


def summary_table(verified: Mapping[str, PrecisionVerification]) -> Table:
    """One row per measure, one column per precision."""
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
    table.add_row("classes held", *(_verdict(item.classes_passed) for item in items))
    for branch in first.branches:
        _add_branch(table, branch, [item.branches[branch] for item in items])
    if first.macro_f1 is None:
        table.caption = "random weights: accuracy and F1 mean nothing"
    else:
        table.caption = f"intervals: from a paired bootstrap of {DRAWN[first.resample]}"
    return table


def _add_branch(table: Table, branch: str, checks: Sequence[BranchVerification]) -> None:
    """Add rows that say what one branch alone changes, and whether it keeps its limits."""
    table.add_section()
    table.add_row(f"{branch} branch held", *(_verdict(check.passed) for check in checks))
    neutral = checks[0].neutral
    given = SHORT.get(neutral, neutral) if neutral is not None else "fp32's inputs"
    table.add_row(f"  same class, {given}", *(f"{check.same_class:.2%}" for check in checks))
    table.add_row("  mean KL", *(f"{check.kl:.1e}" for check in checks))
    if neutral is not None:
        table.add_row("  KL if it said nothing", *(_short(check.silent_kl) for check in checks))
        table.add_row("  lost of its effect", *(_share(check.lost) for check in checks))
        table.add_row("  classes kept without it", *(_share(check.kept_without) for check in checks))


def output_table(verified: Mapping[str, PrecisionVerification]) -> Table:
    """One row per output, with its relative error and cosine for each precision."""
    table = Table("output", box=SIMPLE_HEAD, title="Outputs: relative error, cosine")
    for name in verified:
        table.add_column(name, justify="right")
    columns = [{item.output: item for item in found.outputs} for found in verified.values()]
    for name in dict.fromkeys(name for column in columns for name in column):
        row = [column.get(name) for column in columns]  # None if both selected no common token
        table.add_row(name, *("" if item is None else _output(item) for item in row))
    table.caption = "tokens: only of patches that both select"
    return table


def _output(item: OutputChange) -> str:
    return f"{_share(item.relative_error)}  {item.cosine:.5f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _interval(item: MeasureChange) -> str:
    if item.interval is None:
        return ""
    low, high = item.interval
    return f"{100 * low:+.2f} to {100 * high:+.2f}"


def _verdict(passed: bool | None) -> Text:
    if passed is None:
        return Text("too few stickers", "yellow")
    return Text("yes", "green") if passed else Text("no", "bold red")
