"""Differences between two runs of one model: in their outputs, and in the tokens that they select."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mghft_export.bundle.verifications import OutputDifference

SAME_TOKEN = 1e-3
"""Two float32 vectors with a smaller relative distance are the same token, computed in another order."""


def difference(
    output: str, batch: int, found: npt.NDArray[np.floating], wanted: npt.NDArray[np.floating]
) -> OutputDifference:
    """Largest absolute difference, cosine of the whole tensors, and length of the difference over `wanted`'s length."""
    a, b = found.ravel().astype(np.float64), wanted.ravel().astype(np.float64)
    cosine = float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30))
    relative = float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30))
    return OutputDifference(output, batch, float(np.abs(a - b).max()), cosine, relative)


def selected_agreement(found: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32], heads: int) -> float:
    """Share of the wanted tokens that were found, head by head, in any order. Both tensors are [B, heads * k, C].

    Tokens are compared by their values, so both runs must be in float32; otherwise use :func:`index_agreement`.
    """
    found_heads = found.reshape(len(found) * heads, -1, found.shape[-1])
    wanted_heads = wanted.reshape(found_heads.shape)
    shares = []
    for ours, theirs in zip(found_heads, wanted_heads, strict=True):
        distance = np.linalg.norm(theirs[:, None] - ours[None], axis=-1).min(axis=1)
        shares.append(np.mean(distance <= SAME_TOKEN * np.linalg.norm(theirs, axis=-1)))
    return float(np.mean(shares))


def shared_tokens(
    found: npt.NDArray[np.floating],
    found_indices: npt.NDArray[np.integer],
    wanted: npt.NDArray[np.floating],
    wanted_indices: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """The tokens of the patches that both runs select, head by head, in the same order.

    Selected tokens come best first. Without a common order, two tokens that swap places would count as differences of
    their values.

    Args:
        found: tokens of one sticker, head after head: [heads * k, C].
        found_indices: patches that they come from: [heads, k].

    Returns:
        Found and wanted tokens, [shared, C] each.
    """
    count = wanted_indices.shape[-1]
    rows_found, rows_wanted = [], []
    for head, (ours, theirs) in enumerate(zip(found_indices, wanted_indices, strict=True)):
        _, our_rows, their_rows = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
        rows_found.append(head * count + our_rows)
        rows_wanted.append(head * count + their_rows)
    return found[np.concatenate(rows_found)], wanted[np.concatenate(rows_wanted)]


def index_agreement(found: npt.NDArray[np.integer], wanted: npt.NDArray[np.integer]) -> float:
    """Share of the wanted patches that were found, head by head, in any order. Both tensors are indices [B, heads, k].

    A quantised token never has the values of the float token, so the tokens are compared by their patches.
    """
    count = wanted.shape[-1]
    patches = int(max(found.max(), wanted.max())) + 1
    head = np.arange(wanted.size // count)[:, None] * patches  # no two heads share a number
    return float(np.isin(wanted.reshape(-1, count) + head, found.reshape(-1, count) + head).mean())
