"""Compare a bundle's precisions with its float32 graphs, as `mghft-export verify` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mghft_export.bundle import Bundle, load_bundle
from mghft_export.bundle.recorded_verifications import record_verification
from mghft_export.bundle.verifications import PrecisionVerification
from mghft_export.errors import BundleError, MGHFTError
from mghft_export.evaluation.verification.precisions import BATCH, verify_precisions
from mghft_export.evaluation.verification.verification_stickers import (
    VerificationStickers,
    calibration_stickers,
    data_set_stickers,
)
from mghft_export.stickers.dataset import StickerSet, load_dataset


def verify(
    bundle: str | Path | Bundle,
    precisions: Sequence[str] = (),
    *,
    data: str | Path | StickerSet | None = None,
    split: str | None = None,
    limit: int | None = None,
    batch: int = BATCH,
    provider: str = "cpu",
    on_batch: Callable[[int], None] = lambda _: None,
) -> Mapping[str, PrecisionVerification]:
    """Compare precisions with float32 on stickers, and record the result in the bundle's manifest.

    Args:
        precisions: the precisions to verify; all but fp32 by default.
        data: a data set; by default the calibration set that the bundle was made with.
        split: split of the data set: test by default, or all stickers if there are no splits.
        limit: the largest number of stickers to use.
        batch: stickers per batch.
        provider: what runs the precisions; float32 runs on the CPU.
        on_batch: called after each batch with its number of stickers.

    Returns:
        The verification of each precision; `.passed` says whether it keeps its accuracy budget.

    Raises:
        BundleError: the bundle lacks one of the precisions.
        DataError: the stickers do not fit the model.
    """
    opened = bundle if isinstance(bundle, Bundle) else load_bundle(Path(bundle))
    chosen = chosen_precisions(opened, precisions)
    stickers = chosen_stickers(opened, chosen, data, split=split, limit=limit)
    verified = verify_precisions(opened, chosen, stickers, batch=batch, provider=provider, on_batch=on_batch)
    record_verification(opened, verified)
    return verified


def chosen_precisions(bundle: Bundle, wanted: Sequence[str]) -> list[str]:
    """The precisions to verify.

    Raises:
        BundleError: the bundle lacks one of them, or has only fp32.
        MGHFTError: fp32 was asked for.
    """
    others = [name for name in bundle.manifest.precisions if name != "fp32"]
    if not others:
        raise BundleError(
            f"{bundle.root} has only fp32 graphs; add others with `mghft-export onnx --precision fp16`"
        )
    if "fp32" in wanted:
        raise MGHFTError("fp32 is what the others are compared with; `mghft-export onnx` verified it itself")
    missing = next((name for name in wanted if name not in others), None)
    if missing is not None:
        raise BundleError(f"{bundle.root} has no {missing} graphs, only {', '.join(others)}")
    return list(dict.fromkeys(wanted)) or others


def chosen_stickers(
    bundle: Bundle,
    precisions: Sequence[str],
    data: str | Path | StickerSet | None,
    *,
    split: str | None,
    limit: int | None,
) -> VerificationStickers:
    """The stickers to verify on.

    Raises:
        MGHFTError: a split was given without a data set, or the precisions were calibrated with different sets.
        DataError: the stickers do not fit the model.
    """
    if data is None:
        if split is not None:
            raise MGHFTError("--split chooses stickers of a data set; add --data ROOT")
        return calibration_stickers(bundle.manifest, precisions=precisions, limit=limit)
    found = data if isinstance(data, StickerSet) else load_dataset(Path(data))
    return data_set_stickers(found, bundle.manifest, split=split, limit=limit)
