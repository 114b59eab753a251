"""Precisions of a bundle against its float32 graphs: same stickers, same preprocessing, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from mghft_export.bundle import Bundle, Manifest
from mghft_export.errors import DataError, StickerError
from mghft_export.evaluation.selection import Resample, bootstrap_groups
from mghft_export.runtime.text_cache import TextCache
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.image import open_sticker
from mghft_export.verification.branches import open_branches
from mghft_export.verification.budget import Budget, default_budget, within_budget
from mghft_export.verification.collected import Collected
from mghft_export.verification.measures import flips_by_kind, measure_changes
from mghft_export.verification.record import graph_hashes
from mghft_export.verification.result import OutputChange, PrecisionVerification
from mghft_export.verification.stickers import VerificationStickers

BATCH = 8


def verify_precision(
    bundle: Bundle,
    precision: str,
    on: VerificationStickers,
    *,
    budget: Budget | None = None,
    batch: int = BATCH,
    provider: str = "cpu",
    on_batch: Callable[[int], None] = lambda _: None,
) -> PrecisionVerification:
    """One precision; see :func:`verify_precisions`."""
    budgets = {} if budget is None else {precision: budget}
    verified = verify_precisions(
        bundle, [precision], on, budgets=budgets, batch=batch, provider=provider, on_batch=on_batch
    )
    return verified[precision]


def verify_precisions(
    bundle: Bundle,
    precisions: Sequence[str],
    on: VerificationStickers,
    *,
    budgets: Mapping[str, Budget] | None = None,
    batch: int = BATCH,
    provider: str = "cpu",
    resample: Resample = "sticker",
    seed: int = 0,
    skip_bad: bool = False,
    on_batch: Callable[[int], None] = lambda _: None,
    texts: TextCache | None = None,
) -> dict[str, PrecisionVerification]:
    """Compare precisions with float32 in ONNX Runtime; the float32 graphs run once for all of them.

    Args:
        budgets: by precision; the default ones where not given.
        batch: stickers that run together.
        provider: where the precisions run. Float32 always runs on the CPU, where it was compared with PyTorch.
        resample: what the bootstrap draws.
        skip_bad: leave out stickers whose image cannot be decoded or that have no text.
        on_batch: called with the number of stickers done since the last call.
        texts: features of texts that float32 already encoded, and where its others go.

    Raises:
        BundleError: the bundle has no such precision, or a file was changed.
        StickerError: a sticker cannot be used and `skip_bad` is not set.
        DataError: no sticker can be used.
        MGHFTError: a precision gives logits that are not finite, or the provider is not usable on this machine.
    """
    manifest = bundle.manifest
    pipeline, run_reference = open_branches(bundle, "fp32", cache=texts)
    runs = {precision: open_branches(bundle, precision, provider)[1] for precision in precisions}
    reference = Collected()
    collected = {precision: Collected() for precision in precisions}
    used: list[Sticker] = []
    for stickers, images, tried in _opened(on.stickers, batch, manifest.image.background, skip_bad):
        if stickers:
            pixels, own = pipeline.preprocess(images), [sticker.text for sticker in stickers]
            wanted = run_reference(pixels, own)
            reference.add("fp32", wanted, wanted)
            for precision, run in runs.items():
                collected[precision].add(precision, run(pixels, own), wanted)
            used += stickers
        on_batch(tried)
    if not used:
        raise DataError("no sticker is left to verify on; check the data set with `mghft-export data check`")
    done = VerificationStickers(tuple(used), on.source, on.calibration_set)
    return {
        precision: _verification(
            manifest,
            precision,
            done,
            reference.classes,
            found,
            (budgets or {}).get(precision, default_budget(precision)),
            provider,
            resample,
            seed,
        )
        for precision, found in collected.items()
    }


def _opened(
    stickers: Sequence[Sticker], batch: int, background: str, skip_bad: bool
) -> Iterator[tuple[list[Sticker], list[Image.Image], int]]:
    """Batches of those that can be used, with how many were tried."""
    for start in range(0, len(stickers), batch):
        tried = stickers[start : start + batch]
        kept, images = [], []
        for sticker in tried:
            try:
                if not sticker.text.strip():
                    raise StickerError(
                        f"{sticker.image} has no text, which MGHFT reads; add texts to the data set"
                    )
                images.append(open_sticker(sticker.image, background=background))
            except StickerError:
                if not skip_bad:
                    raise
            else:
                kept.append(sticker)
        yield kept, images, len(tried)


def _verification(
    manifest: Manifest,
    precision: str,
    on: VerificationStickers,
    expected: npt.NDArray[np.int64],
    collected: Collected,
    budget: Budget,
    provider: str,
    resample: Resample,
    seed: int,
) -> PrecisionVerification:
    found = collected.classes
    flips = int((found != expected).sum())
    kinds = accuracy = f1 = None
    if manifest.trained:
        labels = np.array([sticker.label for sticker in on.stickers], np.int64)
        groups = bootstrap_groups(on.stickers, resample)
        kinds = flips_by_kind(labels, expected, found)
        accuracy, f1 = measure_changes(
            labels, expected, found, len(manifest.class_names), groups=groups, seed=seed
        )
    return PrecisionVerification(
        data=on.description,
        remark=on.remark(manifest, precision),
        stickers=len(found),
        provider=provider,
        graphs=graph_hashes(manifest, precision),
        fp32_graphs=graph_hashes(manifest, "fp32"),
        outputs=tuple(
            OutputChange(
                output=name,
                max_abs=max(item.max_abs for item in items),
                cosine=float(np.mean([item.cosine for item in items])),
            )
            for name, items in collected.differences.items()
        ),
        selected_agreement={stage: float(np.mean(shares)) for stage, shares in collected.agreements.items()},
        top1_agreement=1 - flips / len(found),
        flips=flips,
        flips_by_kind=kinds,
        accuracy=accuracy,
        macro_f1=f1,
        resample=resample,
        budget=budget,
        passed=within_budget(
            budget, stickers=len(found), flips=flips, macro_f1_change=None if f1 is None else f1.change
        ),
    )
