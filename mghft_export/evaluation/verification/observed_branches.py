"""Run a precision's branches so that everything that the verification compares is visible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from mghft_export.bundle import Bundle
from mghft_export.errors import BundleError
from mghft_export.graph.edits import REATTENTION
from mghft_export.runtime.branches import onnx_branches
from mghft_export.runtime.pipeline import FloatArray, Pipeline
from mghft_export.runtime.session import Array
from mghft_export.runtime.text_cache import TextCache


@dataclass(frozen=True)
class BranchOutputs:
    """The outputs of the branches for B stickers."""

    outputs: Mapping[str, Array]
    """Every output of the vision branch, `text_features` and `logits`, each [B, ...]."""
    selected: Mapping[str, Array]
    """Selected patches by stage: [B, heads, k]."""


RunBranches = Callable[[FloatArray, Sequence[str]], BranchOutputs]
"""Preprocessed images [B, 3, H, W] and their B texts -> outputs."""


def open_branches(
    bundle: Bundle, precision: str, provider: str = "cpu", cache: TextCache | None = None
) -> tuple[Pipeline, RunBranches]:
    """Open a precision for comparison: its pipeline, which also preprocesses, and a function that runs its branches.

    Args:
        cache: cache of text features, shared with other users of the same texts.

    Raises:
        MGHFTError: the bundle lacks the precision, or the provider is not usable on this machine.
    """
    with bundle.opening("vision", precision) as path:
        model, selections = with_selections(path)
    opened = onnx_branches(bundle, precision=precision, provider=provider, instead={"vision": model})
    vision = opened.vision
    pipeline = Pipeline(bundle, branches=opened, texts=cache)

    def run(pixels: FloatArray, texts: Sequence[str]) -> BranchOutputs:
        found = vision.run({"image": pixels})
        selected = {stage: found.pop(name) for stage, name in selections.items()}
        features = pipeline.encode_texts(texts)
        logits = pipeline.fusion.run({**found, "text_features": features})["logits"]
        return BranchOutputs({**found, "text_features": features, "logits": logits}, selected)

    return pipeline, run


def with_selections(path: Path) -> tuple[bytes, Mapping[str, str]]:
    """A copy of a vision graph with the indices of its selections as further outputs.

    Returns:
        The serialised model, and the name of the indices [B, heads, k] by stage (`stage1`, ...).

    Raises:
        BundleError: the graph selects nothing.
    """
    model = onnx.load(path)
    names = {
        node.name.split(".")[0]: node.output[1]
        for node in model.graph.node
        if node.op_type == "TopK" and f".{REATTENTION}." in node.name
    }
    if not names:
        raise BundleError(f"{path} has no re-attention that selects tokens; export the bundle again")
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None) for name in names.values()
    )
    return model.SerializeToString(), names
