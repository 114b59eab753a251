"""Measures how near a row's outputs are to those of the float32 graph in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mghft_export.evaluation.verification.differences import index_agreement, selected_agreement

STICKERS = 8
CLASS_TOKEN, TOKENS = "_class_token", "_tokens"
SELECTED = "_selected"
"""Name ending of arrays with a stage's selected patches, [B, heads, k], saved beside the outputs of a row."""

FLOAT_ROUNDING = 1e-3
"""Smaller differences of a class token come from float32 in another order, so rows within this are equally near."""

Outputs = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Agreement:
    """Agreement of one row with the float32 graph in ONNX Runtime.

    Attributes:
        class_token: largest difference of a class token's value.
        stages: the same by stage.
        cosine: mean cosine of the class tokens over stickers and stages.
        selected: share of the selected patches that are the same; None if the row does not tell.
    """

    class_token: float
    stages: dict[str, float]
    cosine: float
    selected: float | None


def agreement(found: Outputs, wanted: Outputs, heads: Mapping[str, int]) -> Agreement:
    """Compare outputs of the same stickers.

    Args:
        found: a row's outputs, with the indices of its selection; rows that compute in float32 may lack the indices.
        wanted: the reference's outputs, with the indices.
        heads: number of heads of each stage that selects (`stage1`, ...).
    """
    stages, cosines, shares = {}, [], []
    for stage, count in heads.items():
        ours, theirs = (np.asarray(outputs[stage + CLASS_TOKEN], np.float64) for outputs in (found, wanted))
        stages[stage] = float(np.abs(ours - theirs).max())
        norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        cosines.append((ours * theirs).sum(axis=1) / np.maximum(norms, 1e-30))
        if stage + SELECTED in found:
            shares.append(index_agreement(found[stage + SELECTED], wanted[stage + SELECTED]))
        elif stages[stage] <= FLOAT_ROUNDING:
            # A float32 row has the same token vectors, so the vectors tell which patches they are.
            shares.append(selected_agreement(found[stage + TOKENS], wanted[stage + TOKENS], count))
    return Agreement(
        max(stages.values()),
        stages,
        float(np.mean(cosines)),
        float(np.mean(shares)) if len(shares) == len(heads) else None,
    )


def nearness(class_token: float) -> float:
    """The value that orders rows: smaller is nearer; all differences within float32 rounding count as the same."""
    return max(class_token, FLOAT_ROUNDING)


def save_outputs(path: Path, outputs: Outputs) -> None:
    """Write a row's outputs for the parent process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **outputs)


def load_outputs(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """Read the outputs that :func:`save_outputs` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
