"""The other modality neutralised, so that what a branch says shows in the logits.

For the vision branch every text becomes the mean of all text features, for the text branch every image is blank. The
branch that is judged runs in the precision, all else in float32. What the precision changes is compared with what is
changed when the branch says nothing, too: then both are neutral.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mghft_export.evaluation.replacements import blank_image
from mghft_export.evaluation.verification.observed_branches import BranchOutputs, RunBranches
from mghft_export.runtime.pipeline import FloatArray, Pipeline
from mghft_export.runtime.session import Array

PLACES = {"vision": "mean text features", "text": "a blank image"}
"""What takes the other modality's place, by the branch that is judged."""


@dataclass(frozen=True)
class Neutral:
    """Float32's answers to nothing.

    Attributes:
        tokens: what the vision branch gives for a blank image, [1, ...] each.
        features: the mean text features, [1, 4, C].
        logits: of both, [1, classes].
    """

    pipeline: Pipeline
    tokens: Mapping[str, Array]
    features: FloatArray
    logits: FloatArray

    def with_mean_text(self, tokens: Mapping[str, Array]) -> FloatArray:
        """Logits [B, classes] of a vision branch's outputs."""
        count = len(next(iter(tokens.values())))
        return self.pipeline.fused_logits(tokens, np.repeat(self.features, count, axis=0))

    def with_blank_image(self, features: FloatArray) -> FloatArray:
        """Logits [B, classes] of text features."""
        tokens = {name: np.repeat(array, len(features), axis=0) for name, array in self.tokens.items()}
        return self.pipeline.fused_logits(tokens, features)


def neutral_of(pipeline: Pipeline, run: RunBranches, texts: Sequence[str]) -> Neutral:
    """Of a float32 pipeline, what runs its branches, and the texts whose mean is neutral."""
    features = pipeline.encode_texts(texts).mean(axis=0, keepdims=True)
    pixels = pipeline.preprocess([blank_image(pipeline.manifest.image)])
    tokens = vision_part(run(pixels, texts[:1]))
    return Neutral(pipeline, tokens, features, pipeline.fused_logits(tokens, features))


def vision_part(outputs: BranchOutputs) -> dict[str, Array]:
    """What the vision branch gave."""
    return {name: array for name, array in outputs.outputs.items() if name not in ("text_features", "logits")}


def branches_alone(
    neutral: Neutral, fusion: Pipeline, found: BranchOutputs, wanted: BranchOutputs
) -> dict[str, FloatArray]:
    """Logits [B, classes] by branch, where only this branch is a precision's and all else is float32's.

    The vision branch's tokens meet mean text features, the text branch's features a blank image, and the fusion branch
    gets float32's tokens and features.

    Args:
        fusion: whose fusion branch is judged.
        found: the precision's outputs.
        wanted: float32's.
    """
    features = np.asarray(wanted.outputs["text_features"], np.float32)
    return {
        "vision": neutral.with_mean_text(vision_part(found)),
        "text": neutral.with_blank_image(found.outputs["text_features"]),
        "fusion": fusion.fused_logits(vision_part(wanted), features),
    }
