"""A study of a bundle, and its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.files.atomic import replacing_file
from mghft_export.sensitivity.effects import GroupEffect, LayerEffect
from mghft_export.sensitivity.plot import plot_sensitivity
from mghft_export.sensitivity.search import Search, Trial
from mghft_export.sensitivity.shares import Share

REPORT, PLOT = "sensitivity.json", "sensitivity.svg"


@dataclass(frozen=True)
class Study:
    """What was measured, and what was chosen if there was a budget.

    Attributes:
        bundle: name of the bundle's folder.
        calibrated_on: description of the set that gives the ranges, with the reason for it.
        measured_on: description of the measured stickers.
        stickers: number of measured stickers.
        recipe: the studied recipe, with its ranges.
        layers: effects of the layers, the most sensitive first.
        shares: INT8's shares of the arithmetic, by branch, with the chosen recipe (without a search, the studied one).
    """

    bundle: str
    calibrated_on: str
    measured_on: str
    stickers: int
    recipe: QuantizationRecipe
    layers: tuple[LayerEffect, ...]
    groups: tuple[GroupEffect, ...]
    shares: Mapping[str, Share]
    search: Search | None

    def to_dict(self) -> dict[str, Any]:
        """The study as plain values for JSON."""
        recipe = self.recipe
        values: dict[str, Any] = {
            "bundle": self.bundle,
            "calibrated_on": self.calibrated_on,
            "measured_on": self.measured_on,
            "stickers": self.stickers,
            "quantization": recipe.model_dump(
                include={"branches", "calibrator", "percentile", "smooth", "fusion_inputs", "calibration_set"}
            ),
            "layers": [{**asdict(item.layer), **asdict(item.effect)} for item in self.layers],
            "groups": [
                {"branch": item.branch, "kind": item.kind, "layers": item.layers, **asdict(item.effect)}
                for item in self.groups
            ],
            "int8_share": {branch: asdict(share) for branch, share in self.shares.items()},
            "search": None,
        }
        if self.search is not None:
            values["search"] = {
                "budget": self.search.budget.model_dump(),
                "returned_to_float": [[item.branch, item.name] for item in self.search.returned],
                "float_layers": self.search.recipe.float_layers,
                "trials": [_trial(item) for item in self.search.trials],
                "chosen": _trial(self.search.chosen),
            }
        return values


def write_study(study: Study, folder: Path) -> list[Path]:
    """Write the plot and the values; other files stay. The values come last, so if they exist, the plot does, too.

    Raises:
        MGHFTError: a file cannot be written, or matplotlib is not installed.
    """
    (folder / REPORT).unlink(missing_ok=True)  # the file of an earlier study
    returned = study.search.returned if study.search is not None else ()
    title = f"{study.bundle}, {study.stickers} stickers: {study.measured_on}"
    with replacing_file(folder / PLOT) as partial:
        plot_sensitivity(study.layers, returned, title, partial)
    with replacing_file(folder / REPORT) as partial:
        partial.write_text(json.dumps(study.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [folder / REPORT, folder / PLOT]


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "returned": trial.returned,
        "agreement": trial.effect.agreement,
        **asdict(trial.effect),
        "macro_f1_drop": trial.drop,
        "holds": trial.holds,
    }
