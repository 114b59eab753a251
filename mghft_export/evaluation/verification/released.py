"""Compare an exported bundle with the released form of its model, on the same stickers and preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from mghft_export.bundle import Bundle
from mghft_export.bundle.verifications import OutputDifference, ReleasedVerification
from mghft_export.errors import MGHFTError
from mghft_export.evaluation.verification.differences import difference, selected_agreement
from mghft_export.exporting.export_bundle import Verify
from mghft_export.model.mghft import MGHFT, as_released
from mghft_export.model.text_weights import PREFIX
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.dataset import StickerSet
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.text_tokens import encode
from mghft_export.stickers.views import distinct_texts, view_texts

BATCHES = (1, 3)
DEFAULT_TOLERANCE = 5e-3
"""Largest allowed difference of a logit. Float32 sums in another order can swap neighbours in the token selection.
Position embeddings depend on the rank, so a swap alone moves logits by about 1e-4."""


@dataclass(frozen=True)
class VerifyOn:
    """Stickers to verify on: at least four images with their texts, and a description for the report."""

    images: Sequence[Image.Image]
    texts: Sequence[str]
    description: str
    tolerance: float = DEFAULT_TOLERANCE


def against_released(on: VerifyOn) -> Verify:
    """A function that an export calls to verify its bundle before the bundle is put in place."""

    def compare(model: MGHFT, bundle: Bundle, on_step: Callable[[str], None]) -> ReleasedVerification:
        return verify(
            as_released(model),
            Pipeline(bundle),
            on.images,
            on.texts,
            stickers=on.description,
            tolerance=on.tolerance,
            on_step=on_step,
        )

    return compare


@torch.inference_mode()
def verify(
    released: MGHFT,
    pipeline: Pipeline,
    images: Sequence[Image.Image],
    texts: Sequence[str],
    *,
    stickers: str,
    tolerance: float = DEFAULT_TOLERANCE,
    on_step: Callable[[str], None] = lambda _: None,
) -> ReleasedVerification:
    """Compare a bundle with a model in its released form, at batch 1 and 3.

    Args:
        released: the model as :func:`mghft_export.model.mghft.as_released` returns it.
        pipeline: pipeline of the bundle.
        images: at least as many RGB images as the batches need together (4).
        texts: texts of the images.
        stickers: description of the stickers, for the report.
    """
    differences: list[OutputDifference] = []
    same_tokens: dict[str, list[float]] = {}
    same_class: list[bool] = []
    inputs: list[tuple[torch.Tensor, torch.Tensor]] = []
    start = 0
    for batch in BATCHES:
        on_step(f"verifying batch {batch}")
        chosen = slice(start, start + batch)
        start += batch
        pixels = pipeline.preprocess(images[chosen])
        inputs.append((torch.from_numpy(pixels), _pooled_as_released(released, pipeline, texts[chosen])))
        expected = released(inputs[-1][0], pooled_text=inputs[-1][1])
        tokens = pipeline.vision.run({"image": pixels})
        features = pipeline.encode_texts(texts[chosen])
        logits = pipeline.fusion.run({**tokens, "text_features": features})["logits"]
        pairs = {"text_features": (features, expected.text_features)}
        for stage, leaving in expected.stages.items():
            name = f"stage{stage + 1}"
            pairs[f"{name}_class_token"] = (tokens[f"{name}_class_token"], leaving.class_token)
            agreement = selected_agreement(
                tokens[f"{name}_tokens"], leaving.parts.numpy(), leaving.selected.shape[1]
            )
            same_tokens.setdefault(name, []).append(agreement)
        pairs["logits"] = (logits, expected.logits)
        for name, (found, wanted) in pairs.items():
            differences.append(difference(name, batch, found, wanted.numpy()))
        same_class.extend(logits.argmax(1) == expected.logits.numpy().argmax(1))
    worst = max(item.max_abs for item in differences if item.output == "logits")
    passed = bool(worst <= tolerance)  # False for NaN
    if not passed:
        on_step("comparing float32 with float64")
    return ReleasedVerification(
        stickers=stickers,
        tolerance=tolerance,
        differences=tuple(differences),
        selected_agreement={name: float(np.mean(values)) for name, values in same_tokens.items()},
        top1_agreement=float(np.mean(same_class)),
        passed=passed,
        rounding=None if passed else max(_rounding(released, *pair) for pair in inputs),
    )


def _rounding(released: MGHFT, image: torch.Tensor, pooled_text: torch.Tensor) -> float:
    """The largest difference between the released form's logits in float32 and in float64.

    Each sticker runs alone, because one sticker's attention map takes 1.3 GB in float64 at the paper's size.
    """
    state = {key: value for key, value in released.state_dict().items() if not key.startswith(PREFIX)}
    exact = MGHFT(released.config, reattention="as_released", text_model=False).eval().double()
    exact.load_state_dict(state)
    worst = 0.0
    for number in range(len(image)):
        row = slice(number, number + 1)
        wanted = exact(image[row].double(), pooled_text=pooled_text[row].double()).logits
        found = released(image[row], pooled_text=pooled_text[row]).logits
        worst = max(worst, float((found - wanted).abs().max()))
    return worst


def _pooled_as_released(released: MGHFT, pipeline: Pipeline, texts: Sequence[str]) -> torch.Tensor:
    """Pooled texts [B, 4, bert_dim], padded as the released data loader pads them.

    Rows of a batch do not affect each other, so equal views (`joined`) are encoded once.
    """
    settings = pipeline.inputs.text
    distinct = distinct_texts(settings.views)
    rows = [view for text in texts for view in view_texts(text, settings.views)[:distinct]]
    batch = encode(
        pipeline.inputs.tokenizer, rows, max_length=settings.max_length, pad_to=settings.max_length
    )
    ids, mask = (
        torch.from_numpy(array).unflatten(0, (-1, distinct))
        for array in (batch.input_ids, batch.attention_mask)
    )
    return released.encode_text(ids, mask).expand(-1, 4, -1)


def synthetic_stickers(count: int, seed: int = 0) -> tuple[list[Image.Image], list[str]]:
    """Coloured shapes with texts in the form of real ones, for a check without real stickers."""
    rng = np.random.default_rng(seed)
    words = ["cheerful", "grumpy", "round", "yellow", "waving", "sleepy", "loud", "tiny", "cat", "star"]
    images, texts = [], []
    for _ in range(count):
        field = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        images.append(Image.fromarray(field).resize((320, 320), Image.Resampling.BICUBIC))
        picked = [" ".join(rng.choice(words, 6)) for _ in range(4)]
        texts.append(
            f"#The sticker's intention is {picked[0]}. #The sticker's style is {picked[1]}. "
            f"#The sticker's main role is {picked[2]}. #The sticker's gesture is {picked[3]}."
        )
    return images, texts


def verification_stickers(dataset: StickerSet | None, background: str, tolerance: float) -> VerifyOn:
    """Stickers of a data set's last split (the test split, if there is one), or synthetic ones.

    Raises:
        MGHFTError: the split has too few stickers.
    """
    count = sum(BATCHES)
    if dataset is None:
        images, texts = synthetic_stickers(count)
        return VerifyOn(images, texts, f"{count} synthetic stickers", tolerance)
    name, found = list(dataset.splits.items())[-1]
    if len(found) < count:
        raise MGHFTError(
            f"{dataset.root} has {len(found)} stickers in its {name} split; the verification needs {count}"
        )
    chosen = found[:: len(found) // count][:count]
    opened = [open_sticker(sticker.image, background=background) for sticker in chosen]
    return VerifyOn(
        opened,
        [sticker.text for sticker in chosen],
        f"{count} stickers of {dataset.root.name} ({name})",
        tolerance,
    )
