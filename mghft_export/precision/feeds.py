"""Run calibration stickers through a bundle's branches, each sticker once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mghft_export.config import MGHFTConfig
from mghft_export.precision.observe import Run
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.text_tokens import encode, padded_length
from mghft_export.stickers.views import view_texts

TEXTS_AT_ONCE = 8
"""How many stickers' texts are encoded together for the fusion branch."""

OnStickers = Callable[[int, int], None]
"""Called after each run with the number of stickers that are done and the number of all."""


def no_report(done: int, total: int) -> None:
    """Show no progress."""


def run_texts(
    pipeline: Pipeline,
    stickers: Sequence[Sticker],
    config: MGHFTConfig,
    text: Run,
    on_stickers: OnStickers = no_report,
) -> None:
    """Run the texts of stickers through a text branch, each distinct text once.

    Texts keep their real lengths. They are padded only if the model's pooling includes padding.
    """
    pad_to = padded_length(config.pooling, config.text_length)
    seen: set[tuple[str, ...]] = set()
    for number, sticker in enumerate(stickers, 1):
        views = tuple(view_texts(sticker.text, config.views))
        if views not in seen:
            seen.add(views)
            rows = list(dict.fromkeys(views))
            tokens = encode(pipeline.inputs.tokenizer, rows, max_length=config.text_length, pad_to=pad_to)
            text({"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask})
        on_stickers(number, len(stickers))


def run_images(
    pipeline: Pipeline,
    stickers: Sequence[Sticker],
    vision: Run,
    fusion: Run | None = None,
    on_stickers: OnStickers = no_report,
) -> None:
    """Run stickers one by one through a vision branch.

    Args:
        fusion: the fusion branch. It reads the outputs of `vision` and the text features of the pipeline. None leaves
            it out.
    """
    background = pipeline.inputs.image.background
    for start in range(0, len(stickers), TEXTS_AT_ONCE):
        part = stickers[start : start + TEXTS_AT_ONCE]
        features = None if fusion is None else pipeline.encode_texts([item.text for item in part])
        for number, sticker in enumerate(part):
            image = open_sticker(sticker.image, background=background)
            tokens = vision({"image": pipeline.preprocess([image])})
            if fusion is not None and features is not None:
                fusion({**tokens, "text_features": features[number : number + 1]})
            on_stickers(start + number + 1, len(stickers))
