"""Tables of a study, for a terminal."""

from __future__ import annotations

import math

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mghft_export.sensitivity.effect import Effect
from mghft_export.sensitivity.search import Search
from mghft_export.sensitivity.study_report import Study

MOST_LISTED = 30
"""Most layers in the terminal; JSON has all."""

BAR = 8
"""Characters of the longest bar."""


def print_study(study: Study, console: Console) -> None:
    """Print the tables of a study."""
    console.print(layer_table(study))
    console.print(group_table(study))
    if study.search is not None:
        console.print(trial_table(study.search))
    console.print(share_table(study))
    if study.search is not None:
        console.print(_conclusion(study, study.search), soft_wrap=True)


def layer_table(study: Study) -> Table:
    """The ranking of the layers."""
    shown = study.layers[:MOST_LISTED]
    table = Table(
        box=SIMPLE_HEAD,
        title=Text(f"Each layer alone in INT8, on {study.stickers} stickers ({study.measured_on})"),
        padding=(0, 0, 0, 1),
    )
    table.add_column("", justify="right", style="dim")
    table.add_column("layer", overflow="fold", min_width=34)
    _effect_columns(table)
    table.add_column("log KL", no_wrap=True)
    scale = [math.log10(max(item.effect.kl, 1e-12)) for item in shown]
    low = min(scale, default=0.0) - 0.1
    span = max(max(scale, default=0.0) - low, 0.1)
    for number, (item, value) in enumerate(zip(shown, scale, strict=True), start=1):
        table.add_row(
            str(number),
            Text(f"{item.layer.branch}: {item.layer.name}"),
            *_effect_cells(item.effect),
            Text("█" * max(1, round(BAR * (value - low) / span)), "cyan"),
        )
    if len(study.layers) > len(shown):
        table.caption = f"and {len(study.layers) - len(shown)} less sensitive ones"
    return table


def group_table(study: Study) -> Table:
    """Kinds and branches, each quantised together, in the form of an INT8 bundle."""
    table = Table(box=SIMPLE_HEAD, title="Groups of layers together in INT8", padding=(0, 0, 0, 1))
    table.add_column("branch")
    table.add_column("kind")
    table.add_column("layers", justify="right")
    _effect_columns(table, spread=True)
    for item in study.groups:
        style = "bold" if item.kind == "all" else ""
        cells = _effect_cells(item.effect, spread=True)
        table.add_row(item.branch, item.kind, str(item.layers), *cells, style=style)
        if item.kind == "all":
            table.add_section()
    table.caption = (
        "in the form of an INT8 bundle: all, all is the bundle itself, and none has only its GELU and half constants;\n"
        "means that differ by less than their errors (±) cannot be told apart with these stickers"
    )
    return table


def trial_table(search: Search) -> Table:
    """The trials of the search."""
    table = Table(box=SIMPLE_HEAD, title=Text(f"Search: {search.budget}"), padding=(0, 0, 0, 1))
    headings = ["layers back in float", "same class", "flips", "KL"]
    if search.budget.limits_macro_f1:
        headings.append("macro-F1 lost")
    for heading in (*headings, "budget"):
        table.add_column(heading, justify="right")
    for trial in search.trials:
        cells = [
            str(trial.returned),
            f"{100 * trial.effect.agreement:.2f} %",
            str(trial.effect.flips),
            f"{trial.effect.kl:.1e}",
        ]
        if trial.drop is not None:
            cells.append(f"{100 * trial.drop:.2f} points")
        verdict = Text("holds", "green") if trial.holds else Text("missed", "yellow")
        table.add_row(*cells, verdict, style="bold" if trial == search.chosen else "")
    return table


def share_table(study: Study) -> Table:
    """How much of the arithmetic runs in 8 bits."""
    table = Table(box=SIMPLE_HEAD, title="Multiply-adds in INT8", padding=(0, 0, 0, 1))
    for heading in ("branch", "INT8", "with all layers"):
        table.add_column(heading, justify="left" if heading == "branch" else "right")
    for branch, share in study.shares.items():
        table.add_row(branch, f"{share.int8:.1%}", f"{share.most:.1%}", style="bold" * (branch == "all"))
    return table


def _conclusion(study: Study, found: Search) -> Text:
    share, effect = study.shares["all"], found.chosen.effect
    count = len(found.returned)
    lines = Text()
    if count:
        lines.append(f"{count} layer{'s go' if count > 1 else ' goes'} back to float", "bold")
        for layer in found.returned:
            lines.append(f"\n  {layer.branch}: {layer.name}")
    else:
        lines.append("No layer goes back to float", "bold")
    lines.append(
        f"\n{share.int8:.1%} of the multiply-adds stay in INT8. The budget was checked on {effect.stickers} stickers "
        f"({study.measured_on}), where one sticker is {100 / effect.stickers:.2g} points of agreement."
    )
    return lines


def _effect_columns(table: Table, *, spread: bool = False) -> None:
    for heading in ("KL", *(["±"] if spread else []), "|Δ logit|", "flips"):
        table.add_column(heading, justify="right")


def _effect_cells(effect: Effect, *, spread: bool = False) -> tuple[str | Text, ...]:
    flips = Text(str(effect.flips), "red" if effect.flips else "dim")
    error = [f"{effect.kl_error:.1e}"] if spread else []
    return f"{effect.kl:.1e}", *error, f"{effect.max_abs:.3f}", flips
