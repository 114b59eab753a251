"""The ranking as a picture: one bar per layer in the colour of its part, with the class changes beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path

from mghft_export.optional_packages import optional_module
from mghft_export.sensitivity.effects import LayerEffect
from mghft_export.sensitivity.layers import Layer

MOST_BARS = 30
SMALLEST_KL = 1e-9
"""Smallest value on the axis; below it is float32's own rounding."""

COLOURS = {
    "vision stage 1": "#9ecae1",
    "vision stage 2": "#5ba3d0",
    "vision stage 3": "#2673b2",
    "vision stage 4": "#0b3c78",
    "text": "#e08214",
    "fusion": "#4d9221",
}
OTHER = "#888888"
TITLE_WIDTH = 90


def plot_sensitivity(
    ranked: Sequence[LayerEffect], returned: Collection[Layer], title: str, path: Path
) -> None:
    """Write an SVG of the most sensitive layers; layers returned to float are hatched.

    Raises:
        MGHFTError: matplotlib is not installed.
    """
    matplotlib = optional_module("matplotlib", "the evaluation")
    figures, patches = (
        optional_module("matplotlib.figure", "the evaluation"),
        optional_module("matplotlib.patches", "the evaluation"),
    )
    shown = list(ranked[:MOST_BARS])
    values = [max(item.effect.kl, SMALLEST_KL) for item in shown]
    figure = figures.Figure(figsize=(9, 1.7 + 0.23 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for row, (item, value) in enumerate(zip(shown, values, strict=True)):
        back = item.layer in returned
        axes.barh(
            row,
            value,
            height=0.76,
            color="white" if back else COLOURS.get(item.layer.part, OTHER),
            edgecolor=COLOURS.get(item.layer.part, OTHER),
            hatch="////" if back else None,
        )
        if item.effect.flips:
            flips = f" {item.effect.flips} flip{'s' * (item.effect.flips != 1)}"
            axes.text(value, row, flips, va="center", fontsize=8, color="#a50026")
    axes.set_yticks(range(len(shown)), [_plain(_label(item.layer)) for item in shown], fontsize=8)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 2, max(values) * 3)  # room for the last flips
    axes.set_xlabel("mean KL(float32 || this layer alone in INT8), nats")
    axes.xaxis.grid(True, which="major", color="#dddddd")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    parts = list(dict.fromkeys(item.layer.part for item in shown))
    handles = [patches.Patch(color=COLOURS.get(part, OTHER), label=part) for part in sorted(parts)]
    if any(item.layer in returned for item in shown):
        handles.append(patches.Patch(facecolor="white", edgecolor=OTHER, hatch="////", label="back to float"))
    axes.legend(handles=handles, loc="lower right", fontsize=8, framealpha=1)
    rest = f"the {len(shown)} most sensitive of {len(ranked)} layers"
    lines = [*textwrap.wrap(title, TITLE_WIDTH), rest if len(ranked) > len(shown) else "all layers"]
    axes.set_title("\n".join(map(_plain, lines)), fontsize=10, loc="left")
    # Without a date and random ids, the same study gives the same file.
    with matplotlib.rc_context({"svg.hashsalt": "sensitivity"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def _label(layer: Layer) -> str:
    """A layer's label. Names of vision layers include the stage; other layers need their branch before the name."""
    return layer.name if layer.part.startswith("vision") else f"{layer.branch}: {layer.name}"


def _plain(text: str) -> str:
    """Text with escaped dollars, so that none starts a formula."""
    return text.replace("$", r"\$")
