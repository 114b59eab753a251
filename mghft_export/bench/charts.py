"""Charts of a record as SVG: latency against batch, and latency against accuracy."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

WIDTH, HEIGHT = 6.0, 3.8
"""Inches; a phone shows the letters about as large as the page's."""
MARKERS = "os^Dvp*X<>hP"


def latency_against_batch(comparisons: Sequence[Mapping[str, Any]]) -> str:
    """A line a row, over the batches of one part; both axes logarithmic."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for comparison in sorted(comparisons, key=lambda item: int(item["batch"])):
        for row in comparison["rows"]:
            if row["latency"]:
                lines.setdefault(row["name"], []).append((comparison["batch"], row["latency"]["median"]))
    figure, axes = pyplot.subplots(figsize=(WIDTH, HEIGHT))
    for number, (name, points) in enumerate(lines.items()):
        batches, times = zip(*points, strict=True)
        axes.plot(batches, times, marker=MARKERS[number % len(MARKERS)], label=name)
    batches_shown = sorted({comparison["batch"] for comparison in comparisons})
    axes.set(xscale="log", yscale="log", xlabel="stickers at once", ylabel="median ms")
    axes.set_xticks(batches_shown, [str(batch) for batch in batches_shown])
    axes.minorticks_off()
    return _svg(figure, axes, "batch")


def latency_against_accuracy(comparison: Mapping[str, Any]) -> str | None:
    """A point a row with a known accuracy: share of stickers with float32's class; None where there is no such row."""
    rows = [row for row in comparison["rows"] if row["latency"] and row["price"]]
    if not rows:
        return None
    figure, axes = pyplot.subplots(figsize=(WIDTH, HEIGHT))
    for number, row in enumerate(rows):
        axes.plot(
            [row["latency"]["median"]],
            [100 * row["price"]["agreement"]],
            MARKERS[number % len(MARKERS)],
            markersize=9,
            label=row["name"],
        )
    axes.set(xlabel=f"median ms of {comparison['batch']}", ylabel="same class as fp32, %")
    axes.margins(0.15)
    return _svg(figure, axes, f"accuracy{comparison['part']}{comparison['batch']}")


def _svg(figure: Any, axes: Any, salt: str) -> str:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    output = io.StringIO()
    # One page holds several charts, so each needs identifiers of its own; a fixed salt keeps a page reproducible.
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        figure.savefig(output, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    text = output.getvalue()
    return text[text.index("<svg") :]
