"""From stickers to emotions: preprocessing, the three branches, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from mghft_export.bundle import BRANCHES, Bundle
from mghft_export.runtime.session import OnnxSession, softmax
from mghft_export.stickers.preprocess import ImagePreprocessing, preprocess_batch
from mghft_export.stickers.tokens import encode, load_tokenizer
from mghft_export.stickers.views import view_texts

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Prediction:
    """What a sticker expresses.

    Attributes:
        label: the most probable class.
        probabilities: by class name, in the model's order.
    """

    label: str
    probabilities: dict[str, float]


class Pipeline:
    """A bundle ready to classify stickers.

    Each distinct text is encoded once per call: with `joined` views a sticker costs one pass of the text branch.

    Raises:
        BundleError: a file is missing or was changed.
        MGHFTError: the provider is not usable on this machine.
    """

    def __init__(
        self, bundle: Bundle, *, precision: str = "fp32", provider: str = "cpu", threads: int | None = None
    ) -> None:
        self.manifest = bundle.manifest
        self.vision, self.text, self.fusion = (
            OnnxSession(bundle.graph(branch, precision), provider=provider, threads=threads)
            for branch in BRANCHES
        )
        self.tokenizer = load_tokenizer(bundle.file(self.manifest.tokenizer))
        image = self.manifest.image
        self.preprocessing = ImagePreprocessing(
            image.height, image.width, image.crop_fraction, image.mean, image.std
        )

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Text features of stickers: B texts -> [B, 4, C].

        Raises:
            StickerError: a text is empty.
        """
        settings = self.manifest.text
        rows = [view for text in texts for view in view_texts(text, settings.views)]
        distinct = list(dict.fromkeys(rows))
        # Where padding is pooled it is part of the feature, so every text is padded to the length of training.
        pad_to = settings.max_length if settings.pooling == "all" else None
        tokens = encode(self.tokenizer, distinct, max_length=settings.max_length, pad_to=pad_to)
        features = self.text.run({"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask})
        position = {text: number for number, text in enumerate(distinct)}
        by_row: FloatArray = features["text_features"][[position[row] for row in rows]]
        return by_row.reshape(len(texts), 4, -1)

    def preprocess(self, images: Sequence[Image.Image]) -> FloatArray:
        """RGB images -> [B, 3, H, W]."""
        return preprocess_batch(images, self.preprocessing)

    def logits(self, pixels: FloatArray, text_features: FloatArray) -> FloatArray:
        """[B, 3, H, W] and [B, 4, C] -> [B, classes]."""
        tokens = self.vision.run({"image": pixels})
        result: FloatArray = self.fusion.run({**tokens, "text_features": text_features})["logits"]
        return result

    def predict(self, images: Sequence[Image.Image], text_features: FloatArray) -> list[Prediction]:
        """Classify stickers whose texts :meth:`encode_texts` has encoded."""
        names = self.manifest.class_names
        rows = softmax(self.logits(self.preprocess(images), text_features))
        return [
            Prediction(names[int(row.argmax())], dict(zip(names, row.tolist(), strict=True))) for row in rows
        ]
