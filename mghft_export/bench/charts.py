"""Charts of a record as SVG: latency against batch, and latency against accuracy."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from mghft_export.bench.records import ComparisonRecord
from mghft_export.bench.text_forms import short_number

WIDTH, HEIGHT = 6.0, 3.8
"""Inches. A phone then shows the chart's letters about as large as the page's."""
MARKERS = "os^Dvp*X<>hP"


MOST_TICKS = 9
"""Most numbers on an axis; more would overlap."""

STEPS = (tuple(range(10, 100)), (1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1,))
"""Round numbers within a power of ten, from many to few."""


def latency_against_batch(comparisons: Sequence[ComparisonRecord]) -> str:
    """Draw one line per row over the batches of one part, on logarithmic axes; draw bars if there is one batch."""
    batches_shown = sorted({comparison.batch for comparison in comparisons})
    lines: dict[str, list[tuple[int, float]]] = {}
    for comparison in sorted(comparisons, key=lambda item: item.batch):
        for row in comparison.rows:
            if row.latency:
                lines.setdefault(row.name, []).append((comparison.batch, row.latency.median))
    if len(batches_shown) == 1:
        return _bars({name: points[0][1] for name, points in lines.items()}, batches_shown[0])
    figure, axes = pyplot.subplots(figsize=(WIDTH, HEIGHT))
    for number, (name, points) in enumerate(lines.items()):
        batches, times = zip(*points, strict=True)
        axes.plot(batches, times, marker=MARKERS[number % len(MARKERS)], label=name)
    axes.set(xscale="log", yscale="log", xlabel="stickers at once", ylabel="median ms")
    axes.minorticks_off()
    axes.set_xticks(batches_shown, [str(batch) for batch in batches_shown])
    ticks = log_ticks([time for points in lines.values() for _, time in points])
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(ticks[0], ticks[-1])
    return _svg(figure, axes, "batch")


def _bars(times: Mapping[str, float], batch: int) -> str:
    names = list(times)[::-1]  # matplotlib draws the first one at the bottom
    figure, axes = pyplot.subplots(figsize=(WIDTH, 0.9 + 0.3 * len(names)))
    bars = axes.barh(names, [times[name] for name in names])
    axes.bar_label(bars, fmt=short_number, padding=3, fontsize=8)
    axes.margins(x=0.12)
    axes.set(xlabel=f"median ms of {batch} at once")
    return _svg(figure, axes, "bars")


def log_ticks(values: Sequence[float]) -> list[float]:
    """Round numbers from below the smallest to above the largest value, as many as fit.

    By default, a logarithmic axis labels only powers of ten, and often none of them lies among the values.
    """
    low, high = min(values), max(values)
    exponents = range(math.floor(math.log10(low)) - 2, math.ceil(math.log10(high)) + 2)
    ticks: list[float] = []
    for steps in STEPS:
        every = [float(f"{step}e{exponent}") for exponent in exponents for step in steps]
        first = max(number for number, tick in enumerate(every) if tick <= low)
        last = min(number for number, tick in enumerate(every) if tick >= high)
        ticks = every[first : max(last, first + 1) + 1]
        if len(ticks) <= MOST_TICKS:
            break
    return ticks


def latency_against_accuracy(comparison: ComparisonRecord) -> str | None:
    """Draw a point per row with a known accuracy (share of stickers with float32's class); None if there is none."""
    rows = [
        (row.name, row.latency.median, 100 * row.price.agreement)
        for row in comparison.rows
        if row.latency and row.price
    ]
    if not rows:
        return None
    figure, axes = pyplot.subplots(figsize=(WIDTH, HEIGHT))
    for number, (name, median, agreement) in enumerate(rows):
        axes.plot(
            [median],
            [agreement],
            MARKERS[number % len(MARKERS)],
            markersize=9,
            clip_on=False,  # 100 % is the upper edge
            label=name,
        )
    worst = 100 - min(agreement for _, _, agreement in rows)
    axes.set(
        xlabel=f"median ms of {comparison.batch} at once",
        xlim=(0, 1.15 * max(median for _, median, _ in rows)),
        ylabel="same class as fp32, %",
        ylim=(max(0, 100 - max(1.0, 1.2 * worst)), 100),
    )
    axes.ticklabel_format(useOffset=False, style="plain")
    return _svg(figure, axes, f"accuracy{comparison.part}{comparison.batch}")


def _svg(figure: Any, axes: Any, salt: str) -> str:
    axes.set_axisbelow(True)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    output = io.StringIO()
    # One page holds several charts, so each needs identifiers of its own; a fixed salt keeps a page reproducible.
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        figure.savefig(output, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    text = output.getvalue()
    return text[text.index("<svg") :]
