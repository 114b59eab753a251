"""Compare precisions of a bundle with its float32 graphs: same stickers, same preprocessing, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

from mghft_export.bundle import Bundle
from mghft_export.bundle.recorded_verifications import graph_hashes
from mghft_export.bundle.verifications import Budget, OutputChange, PrecisionVerification
from mghft_export.errors import DataError, StickerError
from mghft_export.evaluation.predictions import open_with_text
from mghft_export.evaluation.verification.accuracy_budget import default_budget, within_budget
from mghft_export.evaluation.verification.branch_checks import check_branches
from mghft_export.evaluation.verification.collected import Collected
from mghft_export.evaluation.verification.measure_changes import flips_by_kind, measure_changes
from mghft_export.evaluation.verification.neutral_inputs import branches_alone, neutral_of
from mghft_export.evaluation.verification.observed_branches import open_branches
from mghft_export.evaluation.verification.verification_stickers import VerificationStickers
from mghft_export.runtime.pipeline import FloatArray
from mghft_export.runtime.text_cache import TextCache
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.sticker_choice import Resample, bootstrap_groups

BATCH = 8

VIEWS_A_STICKER = 4


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
        budgets: budget of each precision; a missing one has its default.
        batch: stickers per batch.
        provider: what runs the precisions. Float32 always runs on the CPU, where it was compared with PyTorch.
        resample: what the bootstrap draws: stickers, file stems or topics.
        skip_bad: leave out stickers without a text or with an image that cannot be decoded.
        on_batch: called with the number of stickers done since the last call.
        texts: cache with text features that float32 has already encoded; new ones are added to it.

    Raises:
        BundleError: the bundle lacks one of the precisions, or a file was changed.
        StickerError: a sticker cannot be used and `skip_bad` is not set.
        DataError: no sticker can be used.
        MGHFTError: a precision gives logits that are not finite, or the provider is not usable on this machine.
    """
    manifest = bundle.manifest
    own = [sticker.text for sticker in on.stickers if sticker.text.strip()]
    if not own:
        raise StickerError("no sticker has a text, which MGHFT reads; add texts to the data set")
    # All texts are needed twice: for their mean, and sticker by sticker.
    cache = TextCache(VIEWS_A_STICKER * len(own)) if texts is None else texts
    pipeline, run_reference = open_branches(bundle, "fp32", cache=cache)
    neutral = neutral_of(pipeline, run_reference, own)
    opened = {precision: open_branches(bundle, precision, provider) for precision in precisions}
    reference = Collected()
    collected = {precision: Collected() for precision in precisions}
    used: list[Sticker] = []
    for stickers, images, tried in _opened(on.stickers, batch, manifest.image.background, skip_bad):
        if stickers:
            pixels, batch_texts = pipeline.preprocess(images), [sticker.text for sticker in stickers]
            wanted = run_reference(pixels, batch_texts)
            reference.add("fp32", wanted, wanted, branches_alone(neutral, pipeline, wanted, wanted))
            for precision, (fusion, run) in opened.items():
                found = run(pixels, batch_texts)
                collected[precision].add(
                    precision, found, wanted, branches_alone(neutral, fusion, found, wanted)
                )
            used += stickers
        on_batch(tried)
    if not used:
        raise DataError("no sticker is left to verify on; check the data set with `mghft-export data check`")
    done = VerificationStickers(tuple(used), on.source, on.calibration_set)
    return {
        precision: _verification(
            bundle,
            precision,
            done,
            reference,
            found,
            neutral.logits,
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
    """Batches of usable stickers and their images, with the number of stickers that were tried."""
    for start in range(0, len(stickers), batch):
        tried = stickers[start : start + batch]
        kept, images = [], []
        for sticker in tried:
            try:
                images.append(open_with_text(sticker, background))
            except StickerError:
                if not skip_bad:
                    raise
            else:
                kept.append(sticker)
        yield kept, images, len(tried)


def _verification(
    bundle: Bundle,
    precision: str,
    on: VerificationStickers,
    reference: Collected,
    collected: Collected,
    silent: FloatArray,
    budget: Budget,
    provider: str,
    resample: Resample,
    seed: int,
) -> PrecisionVerification:
    manifest = bundle.manifest
    expected, found = reference.classes, collected.classes
    flips = int((found != expected).sum())
    kinds = accuracy = f1 = None
    if manifest.trained:
        labels = np.array([sticker.label for sticker in on.stickers], np.int64)
        groups = bootstrap_groups(on.stickers, resample)
        kinds = flips_by_kind(labels, expected, found)
        accuracy, f1 = measure_changes(
            labels, expected, found, len(manifest.class_names), groups=groups, seed=seed
        )
    outputs = tuple(
        OutputChange(
            output=name,
            max_abs=max(item.max_abs for item in items),
            cosine=float(np.mean([item.cosine for item in items])),
            relative_error=float(np.mean([item.relative_error for item in items])),
        )
        for name, items in collected.differences.items()
    )
    selected = {stage: float(np.mean(shares)) for stage, shares in collected.agreements.items()}
    branches = check_branches(bundle, precision, reference, collected, silent, budget, outputs, selected)
    classes = within_budget(
        budget, stickers=len(found), flips=flips, macro_f1_change=None if f1 is None else f1.change
    )
    return PrecisionVerification(
        data=on.description,
        remark=on.remark(manifest, precision),
        stickers=len(found),
        provider=provider,
        graphs=graph_hashes(manifest, precision),
        fp32_graphs=graph_hashes(manifest, "fp32"),
        outputs=outputs,
        selected_agreement=selected,
        top1_agreement=1 - flips / len(found),
        flips=flips,
        flips_by_kind=kinds,
        accuracy=accuracy,
        macro_f1=f1,
        resample=resample,
        budget=budget,
        classes_passed=classes,
        branches=branches,
        passed=all_held([classes, *(check.passed for check in branches.values())]),
    )


def all_held(verdicts: Sequence[bool | None]) -> bool | None:
    """Whether all verdicts are True: False if one is False, otherwise None if one is unknown."""
    if False in verdicts:
        return False
    return None if None in verdicts else True
