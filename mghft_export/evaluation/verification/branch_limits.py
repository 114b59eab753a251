"""How far a branch's outputs may be from float32's, given the rounding of its numbers.

These limits come from the arithmetic, not from a model. They can also judge a branch that the classes hardly depend on,
which a class budget cannot do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mghft_export.bundle import Bundle
from mghft_export.bundle.quantization_recipe import read_recipe
from mghft_export.config import MGHFTConfig
from mghft_export.errors import BundleError
from mghft_export.evaluation.relevance import TENTH


@dataclass(frozen=True)
class Limits:
    """The limits of one branch.

    Attributes:
        relative_error: relative error of class tokens and text features: length of the difference over float32's
            length, mean over stickers. The cosine needs no limit of its own, because it is then at least
            1 - relative_error^2 / 2.
        lost: share of the branch's effect on the logits that may be lost.
    """

    relative_error: float
    lost: float


FLOAT = Limits(relative_error=0.005, lost=TENTH / 3)
"""FP16 rounds a value by up to 2^-11, 0.05 %. The roundings of a chain add up like a random walk, so a hundred of them
give ten times that. `lost` is a third of INT8's, like the share of classes that may change (0.5 and 1.5 %)."""

QUANTISED = Limits(relative_error=0.045, lost=TENTH)
"""An INT8 activation with a range of four standard deviations has steps of 4/127 of one standard deviation, which gives
an error of 4 / 127 / sqrt(12), 0.9 %. The error of weights is 1.3 %, because their steps are 1.4 times as wide where
pairs are limited. Together that is 1.55 % per product. The six products of a block and the two that project a class
token add up to sqrt(8) times that, 4.4 %. Further blocks add errors, but the sum that the errors belong to grows, too.
In four bits, one product alone has an error of 17 %. `lost` is the tenth that a class budget may miss
(:mod:`mghft_export.evaluation.relevance`)."""

NEARER = 0.5
"""Limit for selected tokens: half way from a random selection to float32's. Similar patches, as in a plain background,
can replace one another at no cost, so a selection is only wrong if it is closer to chance than to float32's."""


def branch_limits(bundle: Bundle, precision: str, branch: str) -> Limits:
    """The limits of a branch. A branch that the recipe leaves in float has the limits of float.

    Raises:
        BundleError: the recipe was changed.
    """
    if not precision.startswith("int8"):
        return FLOAT
    entry = bundle.manifest.quantization.get(precision)
    if entry is None:
        return QUANTISED
    return QUANTISED if branch in read_recipe(bundle.file(entry.recipe)).branches else FLOAT


def selection_limit(config: MGHFTConfig, stage: str) -> float | None:
    """The minimum share of float32's patches that a stage has to select; None if it selects all patches.

    Args:
        stage: "stage1" to "stage4".

    Raises:
        BundleError: the model selects nothing in this stage.
    """
    number = int(stage.removeprefix("stage")) - 1
    if number not in config.selecting_stages:
        raise BundleError(f"the manifest's model selects nothing in {stage}; export the bundle again")
    chance = config.selected_per_head(number) / int(np.prod(config.grid(number)))
    return chance + NEARER * (1 - chance) if chance < 1 else None
