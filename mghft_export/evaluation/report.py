"""An evaluation as plain values, and as a folder of files."""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mghft_export.errors import MGHFTError
from mghft_export.evaluation.comparison import Comparison, Flip
from mghft_export.evaluation.flips_page import flips_page
from mghft_export.evaluation.metrics import Metrics
from mghft_export.evaluation.predictions import Predictions, Throughput
from mghft_export.evaluation.predictors import Predictor
from mghft_export.files.atomic import replacing_file
from mghft_export.optional_packages import optional_module
from mghft_export.stickers.sticker_choice import Resample, image_name

METRICS, CONFUSION, PREDICTIONS, FLIPS = "metrics.json", "confusion.png", "predictions.jsonl", "flips.html"


@dataclass(frozen=True)
class Evaluated:
    """One model, its predictions and their metrics."""

    predictor: Predictor
    predictions: Predictions
    metrics: Metrics


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        topics: the chosen topics; empty for all.
        bad_rows: rows of the data set, in any split, that were left out.
        other: the model that the first is compared with, if any.
        comparison: comparison of the two models, if there are two.
    """

    root: Path
    split: str
    topics: tuple[str, ...]
    class_names: tuple[str, ...]
    resample: Resample
    seed: int
    bad_rows: int
    model: Evaluated
    other: Evaluated | None = None
    comparison: Comparison | None = None

    @property
    def data(self) -> str:
        """Description of the data that the models were run on."""
        where = f"{self.root.resolve().name}, {self.split} split"
        topics = f", {', '.join(self.topics)}" if self.topics else ""
        count = len(self.model.predictions.stickers)
        return f"{where}{topics}: {count} sticker{'s' * (count != 1)}"

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as plain values for JSON."""
        values: dict[str, Any] = {
            "data": {
                "root": str(self.root),
                "split": self.split,
                "topics": list(self.topics),
                "classes": list(self.class_names),
                "stickers": len(self.model.predictions.stickers),
                "bad_rows": self.bad_rows,
                "skipped": list(self.model.predictions.skipped),
            },
            "bootstrap": {"resample": self.resample, "seed": self.seed},
            **_evaluated_dict(self.model),
        }
        if self.other is not None and self.comparison is not None:
            comparison = self.comparison
            values["compare"] = {
                **_evaluated_dict(self.other),
                "agreement": comparison.agreement,
                "both_right": comparison.both_right,
                "only_first_right": comparison.only_first_right,
                "only_other_right": comparison.only_other_right,
                "both_wrong": comparison.both_wrong,
                "mcnemar_p": comparison.mcnemar_p,
                "flips": [_flip_dict(flip, self.root) for flip in comparison.flips],
            }
        return values


def prepare_folder(folder: Path) -> None:
    """Make the folder of the report before the work starts, so that a bad place fails at once.

    Raises:
        MGHFTError: the folder is a file, or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise MGHFTError(f"{folder} is a file; choose a folder with -o") from error
    except OSError as error:
        raise MGHFTError(f"cannot write {folder}: {error.strerror}; choose another place with -o") from error
    if not os.access(folder, os.W_OK):
        raise MGHFTError(f"cannot write into {folder}; choose another place with -o")


def write_report(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write the files of an evaluation; other files stay. The metrics come last, so if they exist, all files do.

    Raises:
        MGHFTError: a file cannot be written, or matplotlib is not installed.
    """
    prepare_folder(folder)
    for name in (METRICS, FLIPS):  # files of an earlier evaluation
        (folder / name).unlink(missing_ok=True)
    written = [folder / PREDICTIONS, folder / CONFUSION, folder / METRICS]
    model = evaluation.model
    with replacing_file(folder / PREDICTIONS) as partial, partial.open("w", encoding="utf-8") as stream:
        for row in prediction_rows(evaluation):
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    with replacing_file(folder / CONFUSION) as partial:
        plot_confusion(model.metrics, f"{model.predictor.name}\n{evaluation.data}", partial)
    if evaluation.comparison is not None and evaluation.other is not None:
        page = flips_page(
            evaluation.comparison,
            model.predictor.name,
            evaluation.other.predictor.name,
            evaluation.data,
            root=evaluation.root,
            background=model.predictor.background,
        )
        with replacing_file(folder / FLIPS) as partial:
            partial.write_text(page, encoding="utf-8")
        written.insert(2, folder / FLIPS)
    with replacing_file(folder / METRICS) as partial:
        text = json.dumps(evaluation.to_dict(), indent=1, ensure_ascii=False)
        partial.write_text(text + "\n", encoding="utf-8")
    return written


def prediction_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One row per sticker, with its label and what each model predicts."""
    names = evaluation.class_names
    rows: list[dict[str, Any]] = [
        {
            "image": image_name(sticker.image, evaluation.root),
            "topic": sticker.topic,
            "label": names[sticker.label],
        }
        for sticker in evaluation.model.predictions.stickers
    ]
    for prefix, item in (("", evaluation.model), ("other_", evaluation.other)):
        if item is None:
            continue
        said = zip(item.predictions.predicted, item.predictions.probabilities, strict=True)
        for row, (predicted, probabilities) in zip(rows, said, strict=True):
            row[f"{prefix}predicted"] = names[predicted]
            row[f"{prefix}probabilities"] = dict(zip(names, probabilities.tolist(), strict=True))
    return rows


def _evaluated_dict(item: Evaluated) -> dict[str, Any]:
    throughput: Throughput = item.predictions.throughput
    return {
        "model": {"name": item.predictor.name, "trained": item.predictor.trained},
        "metrics": asdict(item.metrics),
        "throughput": {
            **asdict(throughput),
            "stickers_per_second_with_decoding": throughput.with_decoding,
            "stickers_per_second_without_decoding": throughput.without_decoding,
        },
    }


def _flip_dict(flip: Flip, root: Path) -> dict[str, Any]:
    return {
        "image": image_name(flip.sticker.image, root),
        "label": flip.label,
        "first": asdict(flip.first),
        "other": asdict(flip.other),
    }


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
