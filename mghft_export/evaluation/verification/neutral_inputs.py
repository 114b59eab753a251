"""Neutralise the other modality, so that the logits show what a branch says.

To judge the vision branch, the mean of all text features replaces every text. To judge the text branch, a blank image
replaces every image. The judged branch runs in the precision, and everything else in float32. The change that the
precision causes is compared with the change that occurs if the judged branch is neutral, too.
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
"""What replaces the other modality, for each judged branch."""


@dataclass(frozen=True)
class Neutral:
    """Float32's outputs for neutral inputs.

    Attributes:
        tokens: outputs of the vision branch for a blank image, [1, ...] each.
        features: the mean text features, [1, 4, C].
        logits: logits for both, [1, classes].
    """

    pipeline: Pipeline
    tokens: Mapping[str, Array]
    features: FloatArray
    logits: FloatArray

    def with_mean_text(self, tokens: Mapping[str, Array]) -> FloatArray:
        """Logits [B, classes] of a vision branch's outputs and the mean text."""
        count = len(next(iter(tokens.values())))
        return self.pipeline.fused_logits(tokens, np.repeat(self.features, count, axis=0))

    def with_blank_image(self, features: FloatArray) -> FloatArray:
        """Logits [B, classes] of text features and a blank image."""
        tokens = {name: np.repeat(array, len(features), axis=0) for name, array in self.tokens.items()}
        return self.pipeline.fused_logits(tokens, features)


def neutral_of(pipeline: Pipeline, run: RunBranches, texts: Sequence[str]) -> Neutral:
    """The neutral inputs of a float32 pipeline.

    Args:
        run: runs the pipeline's branches.
        texts: the mean of their features is the neutral text.
    """
    features = pipeline.encode_texts(texts).mean(axis=0, keepdims=True)
    pixels = pipeline.preprocess([blank_image(pipeline.inputs.image)])
    tokens = vision_part(run(pixels, texts[:1]))
    return Neutral(pipeline, tokens, features, pipeline.fused_logits(tokens, features))


def vision_part(outputs: BranchOutputs) -> dict[str, Array]:
    """The outputs of the vision branch."""
    return {name: array for name, array in outputs.outputs.items() if name not in ("text_features", "logits")}


def branches_alone(
    neutral: Neutral, fusion: Pipeline, found: BranchOutputs, wanted: BranchOutputs
) -> dict[str, FloatArray]:
    """Logits [B, classes] for each branch, if only that branch runs in a precision and all else in float32.

    The vision branch's tokens are fused with mean text features, and the text branch's features with a blank image. The
    fusion branch gets float32's tokens and features.

    Args:
        fusion: pipeline with the fusion branch to judge.
        found: the precision's outputs.
        wanted: float32's outputs.
    """
    features = np.asarray(wanted.outputs["text_features"], np.float32)
    return {
        "vision": neutral.with_mean_text(vision_part(found)),
        "text": neutral.with_blank_image(found.outputs["text_features"]),
        "fusion": fusion.fused_logits(vision_part(wanted), features),
    }
