"""Add precisions to a bundle, and compare them with its float32 graphs right away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mghft_export.bundle import Bundle
from mghft_export.bundle.recorded_verifications import record_verification
from mghft_export.bundle.verifications import PrecisionVerification
from mghft_export.evaluation.verification.precisions import verify_precisions
from mghft_export.evaluation.verification.verification_stickers import calibration_stickers, data_set_stickers
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.precision.feeds import OnStickers, no_report
from mghft_export.runtime.text_cache import TextCache
from mghft_export.stickers.dataset import StickerSet

QUICK = 32
"""Stickers to verify new precisions on; they take a minute at the paper's size. `mghft-export verify` uses all."""


def add_verified_precisions(
    bundle: Bundle,
    precisions: Sequence[str],
    options: PrecisionOptions,
    data: StickerSet | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    on_stickers: OnStickers = no_report,
) -> tuple[Bundle, dict[str, PrecisionVerification]]:
    """Add precisions, and compare them with fp32 on some stickers.

    The stickers come from the data set, or from the calibration set if there is no data set.

    Args:
        on_step: called with a description of each step when it starts.
        on_stickers: called with how many stickers of the step are done, and how many there are.

    Raises:
        MGHFTError: the stickers do not fit the model, or :func:`~mghft_export.precision.add_graphs.add_precisions`
            raises it.
    """
    # The data set is checked before the work starts. The calibration checks its own set.
    if data is not None:
        chosen = data_set_stickers(data, bundle.manifest, split=list(data.splits)[-1], limit=QUICK)
    texts = TextCache()
    bundle = add_precisions(bundle, precisions, options, on_step, on_stickers, texts)
    stickers = (
        chosen
        if data is not None
        else calibration_stickers(bundle.manifest, precisions=precisions, limit=QUICK)
    )
    on_step(f"verifying {', '.join(precisions)}")
    done = 0

    def on_batch(count: int) -> None:
        nonlocal done
        done += count
        on_stickers(done, len(stickers.stickers))

    verified = verify_precisions(bundle, precisions, stickers, on_batch=on_batch, texts=texts)
    return record_verification(bundle, verified), verified
