"""How far a branch's outputs may be from float32's, by what its numbers are rounded to.

These limits come from the arithmetic, not from a model, and they judge a branch also where the classes hardly depend on
it. A class budget cannot do that.
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
    """Of one branch.

    Attributes:
        relative_error: of class tokens and text features: length of the difference over float32's length, mean over
            stickers. The cosine needs no limit of its own: it is then at least 1 - relative_error^2 / 2.
        lost: of what the branch changes in the logits.
    """

    relative_error: float
    lost: float


FLOAT = Limits(relative_error=0.005, lost=TENTH / 3)
"""FP16 rounds a value by up to 2^-11, 0.05 %; roundings of a chain add up like a random walk, so a hundred of them
leave ten times that. `lost` is a third of INT8's, as the classes that may change are (0.5 and 1.5 %)."""

QUANTISED = Limits(relative_error=0.045, lost=TENTH)
"""An INT8 activation whose range is four standard deviations has steps of 4/127 of one: an error of 4 / 127 / sqrt(12),
0.9 %. Of weights it is 1.3 %, as their steps are 1.4 times as wide where pairs are limited. Together that is 1.55 % a
product. The six products of a block and the two that project a class token add up to sqrt(8) times that, 4.4 %; the
errors of further blocks belong to a sum that grows with them. In four bits one product alone has 17 %. `lost` is the
tenth that a class budget may miss (:mod:`mghft_export.evaluation.relevance`)."""

NEARER = 0.5
"""Selected tokens: half way from a selection by chance to float32's. Like patches, as of a plain background, stand in
for one another at no cost, so only a selection that is nearer to chance than to float32's is called wrong."""


def branch_limits(bundle: Bundle, precision: str, branch: str) -> Limits:
    """A branch that the recipe leaves in float is held to what float can do.

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
    """The least share of float32's patches that a stage has to select; None where it selects them all.

    Args:
        stage: "stage1" to "stage4".

    Raises:
        BundleError: the model has no such stage.
    """
    number = int(stage.removeprefix("stage")) - 1
    if number not in config.selecting_stages:
        raise BundleError(f"the manifest's model selects nothing in {stage}; export the bundle again")
    chance = config.selected_per_head(number) / int(np.prod(config.grid(number)))
    return chance + NEARER * (1 - chance) if chance < 1 else None
