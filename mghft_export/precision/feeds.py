"""What each branch reads when calibration stickers run through a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mghft_export.config import MGHFTConfig
from mghft_export.precision.ranges import Feeds
from mghft_export.runtime.pipeline import FloatArray, Pipeline
from mghft_export.stickers.dataset import Sticker
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.tokens import encode
from mghft_export.stickers.views import view_texts


def branch_feeds(
    pipeline: Pipeline, stickers: Sequence[Sticker], config: MGHFTConfig
) -> dict[str, Callable[[], Iterator[Feeds]]]:
    """For each branch a function that starts over: one sticker a run.

    The text branch reads texts of their real lengths (padded only where the model pools padding); the fusion branch
    reads what the pipeline's vision and text branches make of the stickers.
    """
    background = pipeline.manifest.image.background
    texts: dict[str, FloatArray] = {}

    def pixels(sticker: Sticker) -> FloatArray:
        return pipeline.preprocess([open_sticker(sticker.image, background=background)])

    def vision() -> Iterator[Feeds]:
        for sticker in stickers:
            yield {"image": pixels(sticker)}

    def text() -> Iterator[Feeds]:
        pad_to = config.text_length if config.pooling == "all" else None
        for views in dict.fromkeys(tuple(view_texts(sticker.text, config.views)) for sticker in stickers):
            rows = list(dict.fromkeys(views))
            tokens = encode(pipeline.tokenizer, rows, max_length=config.text_length, pad_to=pad_to)
            yield {"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask}

    def fusion() -> Iterator[Feeds]:
        for sticker in stickers:
            if sticker.text not in texts:
                texts[sticker.text] = pipeline.encode_texts([sticker.text])
            yield {**pipeline.vision.run({"image": pixels(sticker)}), "text_features": texts[sticker.text]}

    return {"vision": vision, "text": text, "fusion": fusion}
