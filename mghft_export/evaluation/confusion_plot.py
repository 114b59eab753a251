"""A confusion matrix as a picture: numbers show counts, and colours show shares of the true class."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np

from mghft_export.evaluation.metrics import Metrics
from mghft_export.optional_packages import optional_module

MOST_NUMBERED = 20
"""Most classes for which the numbers are legible."""

TITLE_WIDTH = 56
"""Characters of a title line that fit above the smallest picture."""


def plot_confusion(metrics: Metrics, title: str, path: Path) -> None:
    """Write the matrix as a PNG.

    Raises:
        MGHFTError: matplotlib is not installed.
    """
    figures = optional_module("matplotlib.figure", "the evaluation")
    counts = np.array(metrics.confusion)  # [true, predicted]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [_plain(item.name) for item in metrics.classes]
    side = 2.6 + 0.62 * min(len(names), MOST_NUMBERED)
    # A figure without pyplot opens no window and leaves nothing global to close.
    figure = figures.Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    lines = [part for line in title.splitlines() for part in textwrap.wrap(line, TITLE_WIDTH)]
    lines.append(f"accuracy {metrics.accuracy:.1%}, macro F1 {metrics.macro_f1:.3f}")
    axes.set_title("\n".join(map(_plain, lines)), fontsize=10)
    if len(names) <= MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=10)
    figure.colorbar(picture, ax=axes, label="share of the true class", fraction=0.045)
    figure.savefig(path, format="png", dpi=160)


def _plain(text: str) -> str:
    """Text with escaped dollars, so that none starts a formula."""
    return text.replace("$", r"\$")
