"""A precision's branches, run so that everything the verification compares can be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mghft_export.bundle import Bundle
from mghft_export.runtime.branches import TENSORRT_BATCH, onnx_branches
from mghft_export.runtime.graph_session import open_graph
from mghft_export.runtime.pipeline import FloatArray, Pipeline
from mghft_export.runtime.session import Array
from mghft_export.runtime.text_cache import TextCache
from mghft_export.verification.selections import with_selections


@dataclass(frozen=True)
class BranchOutputs:
    """What the branches give for B stickers."""

    outputs: Mapping[str, Array]
    """Every output of the vision branch, `text_features` and `logits`, each [B, ...]."""
    selected: Mapping[str, Array]
    """Selected patches by stage: [B, heads, k]."""


RunBranches = Callable[[FloatArray, Sequence[str]], BranchOutputs]
"""Preprocessed images [B, 3, H, W] and their B texts -> outputs."""


def open_branches(
    bundle: Bundle, precision: str, provider: str = "cpu", cache: TextCache | None = None
) -> tuple[Pipeline, RunBranches]:
    """A precision ready to be compared, and its pipeline, which preprocesses.

    Args:
        cache: features of texts, shared with others that encode them.

    Raises:
        MGHFTError: the bundle has no such precision, or the provider is not usable on this machine.
    """
    opened = onnx_branches(bundle, precision=precision, provider=provider)
    with bundle.opening("vision", precision) as path:
        model, selections = with_selections(path)
    vision = open_graph(model, provider=provider, sizes={"batch": TENSORRT_BATCH})
    pipeline = Pipeline(bundle, branches=replace(opened, vision=vision), texts=cache)

    def run(pixels: FloatArray, texts: Sequence[str]) -> BranchOutputs:
        found = vision.run({"image": pixels})
        selected = {stage: found.pop(name) for stage, name in selections.items()}
        features = pipeline.encode_texts(texts)
        logits = pipeline.fusion.run({**found, "text_features": features})["logits"]
        return BranchOutputs({**found, "text_features": features, "logits": logits}, selected)

    return pipeline, run
