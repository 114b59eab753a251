"""The pipeline from stickers to emotions: preprocessing, the three branches, probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mghft_export.bundle import Bundle
from mghft_export.bundle.model_inputs import ModelInputs, bundle_inputs
from mghft_export.errors import EngineError, StickerError
from mghft_export.runtime.branches import Branches, onnx_branches
from mghft_export.runtime.profile_choice import common_sizes, split_batch, text_lengths
from mghft_export.runtime.session import Array, DeviceArray, Shape
from mghft_export.runtime.text_cache import TextCache
from mghft_export.stickers.preprocess import ImagePreprocessing, preprocess_batch
from mghft_export.stickers.text_tokens import encode, padded_length
from mghft_export.stickers.views import view_texts

TEXTS_AT_ONCE = 32
"""Most distinct texts per run if a session takes any number. More would fill memory and need more padding."""

FloatArray = npt.NDArray[np.float32]

NEEDS_TEXTS = (
    "a sticker has no text, and this model was not trained to do without; describe the sticker (--text, --text-file), "
    "or let a model describe it (--interpret)"
)


@dataclass(frozen=True)
class Prediction:
    """The emotion that a sticker expresses.

    Attributes:
        label: the most probable class.
        probabilities: probability of each class, by its name, in the model's order.
    """

    label: str
    probabilities: dict[str, float]


class Pipeline:
    """A bundle ready to classify stickers, any number at a time.

    The outputs of the vision branch stay on its device for the fusion branch. Vision and text run at the same time if
    their sessions have streams. Text features come back to the host (8 KB per sticker in the paper's size) and are
    cached there: each text is encoded once, and with `joined` views a sticker costs one pass of the text branch.

    Args:
        precision: precision of the graphs that run.
        provider: `cpu`, `cuda` or `tensorrt` of ONNX Runtime; or `openvino` or `openvino-bf16`, which run on the CPU.
        threads: CPU threads of one operator; all cores by default.
        engine: a folder of engines, or the name of one in the bundle's `engines/`. The engines run instead of graphs.
        branches: open sessions to use instead of all these.
        texts: a text cache to share with other pipelines.

    Raises:
        BundleError: a file is missing or was changed.
        MGHFTError: the provider or the engine is not usable on this machine.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        precision: str = "fp32",
        provider: str = "cpu",
        threads: int | None = None,
        engine: str | Path | None = None,
        branches: Branches | None = None,
        texts: TextCache | None = None,
    ) -> None:
        # The tokenizer is read while the branches are opened.
        background = ThreadPoolExecutor(1)
        inputs = background.submit(bundle_inputs, bundle)
        background.shutdown(wait=False)
        if branches is None and engine is not None:
            from mghft_export.runtime.engine_branches import engine_branches

            branches = engine_branches(bundle, engine)
        elif branches is None:
            branches = onnx_branches(bundle, precision=precision, provider=provider, threads=threads)
        self._start(inputs.result(), branches, texts)

    @classmethod
    def of_model(cls, inputs: ModelInputs, branches: Branches, *, texts: TextCache | None = None) -> Pipeline:
        """A pipeline of a model that is not in a bundle."""
        pipeline = cls.__new__(cls)
        pipeline._start(inputs, branches, texts)
        return pipeline

    def _start(self, inputs: ModelInputs, branches: Branches, texts: TextCache | None) -> None:
        self.inputs = inputs
        self.vision, self.text, self.fusion = branches.vision, branches.text, branches.fusion
        self.precision = branches.precision
        self._text_id = f"{inputs.text_id}/{branches.how}"
        self._texts = texts if texts is not None else TextCache()
        self._vision_stream = self.vision.open_stream() or self.fusion.open_stream()
        self._text_stream = self.text.open_stream()
        image = inputs.image
        self.preprocessing = ImagePreprocessing(
            image.height, image.width, image.crop_fraction, image.mean, image.std
        )

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Text features of stickers: B texts -> [B, 4, C]. An empty text means a sticker without text.

        Raises:
            StickerError: a text is empty, and the model has learned no features for that.
        """
        present = [bool(text.strip()) for text in texts]
        if self.inputs.no_text is None and not all(present):
            raise StickerError(NEEDS_TEXTS)
        views = self.inputs.text.views
        rows = [view for text in texts if text.strip() for view in view_texts(text, views)]
        found = self._texts.features(self._text_id, rows, self._encode_views) if rows else None
        if found is not None and all(present):
            return found.reshape(len(texts), 4, -1)
        assert self.inputs.no_text is not None
        features = np.repeat(self.inputs.no_text[None], len(texts), axis=0)
        if found is not None:
            features[present] = found.reshape(-1, *self.inputs.no_text.shape)
        return features

    @property
    def feature_width(self) -> int:
        """C, the width of a view's text features."""
        width = self.fusion.inputs["text_features"].shape[-1]
        assert width is not None
        return width

    def close(self) -> None:
        """Free the memory of engines. Sessions of ONNX Runtime free theirs with the last reference to them."""
        for session in (self.vision, self.text, self.fusion):
            close = getattr(session, "close", None)
            if close is not None:
                close()

    def preprocess(self, images: Sequence[Image.Image]) -> FloatArray:
        """RGB images -> [B, 3, H, W]."""
        return preprocess_batch(images, self.preprocessing)

    def logits(self, pixels: FloatArray, texts: FloatArray | Sequence[str]) -> FloatArray:
        """Pixels [B, 3, H, W] and B texts, or their features [B, 4, C] -> [B, classes].

        Texts are encoded while the first images run through the vision branch.
        """
        features = texts if isinstance(texts, np.ndarray) else None
        stream = self._vision_stream
        rows = [np.zeros((0, len(self.inputs.class_names)), np.float32)]
        for part in split_batch(len(pixels), self._batch_sizes(pixels.shape)):
            uploaded = self.vision.upload({"image": pixels[part]}, stream)
            tokens = self.vision.run_device(uploaded, stream)
            if features is None:
                assert not isinstance(texts, np.ndarray)
                features = self.encode_texts(texts)
            inputs = {
                **self._handed_to_fusion(tokens),
                **self.fusion.upload({"text_features": features[part]}, stream),
            }
            outputs = self.fusion.run_device(inputs, stream)
            rows.append(self.fusion.download(outputs, stream)["logits"].astype(np.float32, copy=False))
        return np.concatenate(rows)

    def vision_outputs(self, pixels: FloatArray) -> dict[str, Array]:
        """The outputs of the vision branch for [B, 3, H, W], on the host: each is [B, ...]."""
        parts = [
            self.vision.run({"image": pixels[part]})
            for part in split_batch(len(pixels), self._batch_sizes(pixels.shape))
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def fused_logits(self, tokens: Mapping[str, Array], features: FloatArray) -> FloatArray:
        """The results of :meth:`vision_outputs` and text features [B, 4, C] -> [B, classes]."""
        image = self.inputs.image
        sizes = self._batch_sizes((len(features), 3, image.height, image.width))
        rows = [
            self.fusion.run(
                {**{name: array[part] for name, array in tokens.items()}, "text_features": features[part]}
            )["logits"]
            for part in split_batch(len(features), sizes)
        ]
        return np.concatenate(rows).astype(np.float32, copy=False)

    def predict(self, images: Sequence[Image.Image], texts: FloatArray | Sequence[str]) -> list[Prediction]:
        """Classify stickers, given their texts or the results of :meth:`encode_texts`."""
        return self.classify(self.preprocess(images), texts)

    def classify(self, pixels: FloatArray, texts: FloatArray | Sequence[str]) -> list[Prediction]:
        """Do the same as :meth:`predict`, for images that :meth:`preprocess` returned, [B, 3, H, W]."""
        names = self.inputs.class_names
        rows = softmax(self.logits(pixels, texts))
        return [
            Prediction(names[int(row.argmax())], dict(zip(names, row.tolist(), strict=True))) for row in rows
        ]

    def _encode_views(self, texts: list[str]) -> FloatArray:
        """Distinct texts -> [n, C]."""
        most = self.inputs.text.max_length
        tokens = encode(self.inputs.tokenizer, texts, max_length=most, pad_to=most)
        feeds = {"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask}
        lengths = tokens.attention_mask.sum(axis=1)
        order = np.argsort(
            lengths, kind="stable"
        )  # texts of one run then have similar lengths and need little padding
        sizes = self._text_batches(self._text_length(int(lengths.max())))
        encoded = []
        for part in split_batch(len(texts), sizes or (range(1, TEXTS_AT_ONCE + 1),)):
            rows = order[part]
            length = self._text_length(int(lengths[rows].max()), len(rows))
            encoded.append(self._run_text({name: array[rows, :length] for name, array in feeds.items()}))
        features = np.concatenate(encoded).astype(np.float32, copy=False)
        return features[np.argsort(order)]

    def _text_length(self, longest: int, batch: int | None = None) -> int:
        """The length that texts of up to `longest` tokens are padded to.

        Args:
            batch: number of texts in the run; None for any number.
        """
        settings = self.inputs.text
        if (fixed := padded_length(settings.pooling, settings.max_length)) is not None:
            return fixed
        for length in text_lengths(longest, settings.max_length):
            try:
                sizes = self._text_batches(length)
            except EngineError:  # an engine may have no profile for this length
                continue
            if sizes is None:
                return longest
            if batch is None or any(batch in size for size in sizes):
                return length
        return longest

    def _text_batches(self, length: int) -> tuple[range, ...] | None:
        """The batch sizes that the text branch runs for texts of `length` tokens; None for all."""
        return self.text.batch_sizes(dict.fromkeys(self.text.inputs, (1, length)))

    def _run_text(self, feeds: Mapping[str, Array]) -> Array:
        stream = self._text_stream
        outputs = self.text.run_device(self.text.upload(feeds, stream), stream)
        return self.text.download(outputs, stream)["text_features"]

    def _batch_sizes(self, image: Shape) -> tuple[range, ...] | None:
        """The batch sizes that vision and fusion both run; None for all."""
        vision = self.vision.batch_sizes({"image": image})
        shapes = {
            name: tuple(image[0] if size is None else size for size in tensor.shape)
            for name, tensor in self.fusion.inputs.items()
        }
        return common_sizes(vision, self.fusion.batch_sizes(shapes))

    def _handed_to_fusion(self, tokens: dict[str, DeviceArray]) -> dict[str, DeviceArray]:
        """The outputs of the vision branch, on the device of the fusion branch."""
        if self.vision.device == self.fusion.device:
            return tokens
        return self.fusion.upload(self.vision.download(tokens, self._vision_stream), self._vision_stream)


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities of logits, over the last dimension."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: npt.NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return result
