"""Export a checkpoint as a verified bundle, as `mghft-export onnx` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mghft_export.api.add_precisions import add_verified_precisions
from mghft_export.bundle import ADDED_PRECISIONS, PRECISIONS, Bundle
from mghft_export.bundle.verifications import PrecisionVerification, ReleasedVerification
from mghft_export.errors import MGHFTError
from mghft_export.evaluation.verification.released import (
    DEFAULT_TOLERANCE,
    against_released,
    verification_stickers,
)
from mghft_export.exporting.export_bundle import ExportOptions, export_bundle
from mghft_export.exporting.sources import checkpoint_source, random_source
from mghft_export.exporting.trace import DEFAULT_OPSET
from mghft_export.model.checkpoint_choice import CHECKPOINTS_WORD, TextChoice, default_checkpoint_path
from mghft_export.model.contents import WeightsChoice
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.precision.feeds import OnStickers, no_report
from mghft_export.stickers.dataset import StickerSet, load_dataset
from mghft_export.stickers.text_tokens import default_tokenizer_path


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Attributes:
        bundle: the bundle that was written.
        note: what was read from the checkpoint's file and what was ignored; empty if there is nothing to say.
        verification: comparison of float32 with PyTorch as released; None if it was skipped.
        precisions: comparison of the other precisions with float32, by name; empty if it was skipped.
    """

    bundle: Bundle
    note: str
    verification: ReleasedVerification | None
    precisions: Mapping[str, PrecisionVerification]


def export(
    checkpoint: str | Path | None = None,
    output: str | Path = "mghft-bundle",
    *,
    precisions: Sequence[str] = (),
    random_weights: str | None = None,
    seed: int = 0,
    weights: WeightsChoice | None = None,
    text_weights: TextChoice = CHECKPOINTS_WORD,
    image_size: tuple[int, int] | None = None,
    views: str | None = None,
    pooling: str | None = None,
    tokenizer: str | Path | None = None,
    background: str = "white",
    opset: int = DEFAULT_OPSET,
    single_file: bool = False,
    data: str | Path | StickerSet | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
    verify: bool = True,
    calibration: PrecisionOptions | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    on_stickers: OnStickers = no_report,
) -> Exported:
    """Export a checkpoint as a bundle of ONNX graphs, and verify it.

    Args:
        checkpoint: a file, or `hf://owner/name`; by default mghft-mini, the trained model in the package.
        output: the bundle's folder; an existing bundle is replaced.
        precisions: precisions to add to fp32: `fp16`, `int8` (which also makes `int8-fp16`) or `int8-fp16`.
        random_weights: an architecture (`paper`) to use with random weights instead of a checkpoint, to measure speed.
        seed: seed of the random weights.
        weights: which weights to take if a checkpoint has both: `model`, or `ema`, the moving average.
        text_weights: where the checkpoint's text weights are; by default the checkpoint says.
        image_size: height and width in pixels, multiples of 32; as trained by default.
        views: `joined` or `separate`; as trained by default.
        pooling: text positions to average: `all`, with padding, or `masked`, without it; as trained by default.
        tokenizer: a tokenizer.json, a vocab.txt, or a folder with one of them; BERT-base-uncased's by default.
        background: the colour behind transparent stickers.
        opset: ONNX operator set.
        single_file: also write `mghft.onnx`, all branches as one graph.
        data: a data set to verify on; synthetic stickers by default.
        tolerance: the largest allowed difference of a logit from PyTorch's.
        verify: compare fp32 with PyTorch, and other precisions with fp32.
        calibration: how to make the other precisions.
        on_step: called with a description of each step when it starts.
        on_stickers: called with how many stickers of the step are done, and how many there are.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ExportError: a graph is invalid, or differs from PyTorch. Nothing is written.
        MGHFTError: an option is unknown, or the disk is full.
    """
    unknown = [name for name in precisions if name not in PRECISIONS]
    if unknown:
        raise MGHFTError(f"there is no precision {unknown[0]!r}; choose among {', '.join(PRECISIONS)}")
    wanted = [name for name in ADDED_PRECISIONS if name in both_forms(precisions)]
    changes = {"image_size": image_size, "views": views, "pooling": pooling}
    changes = {key: value for key, value in changes.items() if value is not None}
    options = calibration or PrecisionOptions()
    dataset = data if isinstance(data, StickerSet) or data is None else load_dataset(Path(data))
    export_options = ExportOptions(
        opset=opset,
        single_file=single_file,
        tokenizer=default_tokenizer_path() if tokenizer is None else Path(tokenizer),
        background=background,
        verify=against_released(verification_stickers(dataset, background, tolerance)) if verify else None,
    )
    on_step("reading the checkpoint")
    note = ""
    if random_weights is not None:
        source = random_source(random_weights, seed, changes)
    else:
        place = default_checkpoint_path() if checkpoint is None else Path(checkpoint)
        source, note = checkpoint_source(place, weights, changes, text_weights)
    bundle, verification = export_bundle(source, Path(output), export_options, on_step)
    verified: Mapping[str, PrecisionVerification] = {}
    if wanted and verify:
        bundle, verified = add_verified_precisions(bundle, wanted, options, dataset, on_step, on_stickers)
    elif wanted:
        bundle = add_precisions(bundle, wanted, options, on_step, on_stickers)
    return Exported(bundle, note, verification, verified)


def both_forms(precisions: Sequence[str]) -> set[str]:
    """Add `int8-fp16`, INT8's form for GPUs, if `int8`, its form for CPUs, is wanted; both have the same ranges."""
    return {*precisions, *(("int8-fp16",) if "int8" in precisions else ())}
