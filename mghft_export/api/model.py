"""A bundle that is ready to classify stickers. A back end keeps it open."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from mghft_export.bundle import Bundle, load_bundle
from mghft_export.cpu_features import cpu_flags
from mghft_export.errors import MGHFTError, StickerError
from mghft_export.evaluation.verification.precision_warning import precision_warning, saturation_warning
from mghft_export.runtime.pipeline import FloatArray, Pipeline, Prediction
from mghft_export.runtime.read_ahead import read_ahead
from mghft_export.stickers.any_image import AnyImage, is_one_image, rgb_image
from mghft_export.stickers.image import MAX_ANIMATION_PIXELS

Images = Sequence[AnyImage]

BATCH = 32
"""Stickers per batch, unless the caller gives another number."""


def load(
    bundle: str | Path | Bundle,
    *,
    precision: str = "fp32",
    provider: str = "cpu",
    engine: str | Path | None = None,
    threads: int | None = None,
) -> Model:
    """Open a bundle.

    Args:
        bundle: the folder that `mghft-export onnx` or :func:`mghft_export.export` wrote.
        precision: which of the bundle's graphs to run: `fp32`, `fp16`, `int8` or `int8-fp16`.
        provider: what runs them: `cpu`, `cuda` or `tensorrt` (ONNX Runtime), `openvino` or `openvino-bf16`.
        engine: run TensorRT engines instead: a folder, or its name in the bundle's `engines/`. Engines have their
            own precision.
        threads: CPU threads of one operator; all cores by default.

    Raises:
        BundleError: the bundle does not exist, or one of its files was changed.
        MGHFTError: the provider or the engine cannot be used on this machine.

    >>> model = load(bundle)
    >>> model.class_names[:3]
    ('anger', 'disgust', 'fear')
    """
    opened = bundle if isinstance(bundle, Bundle) else load_bundle(Path(bundle))
    pipeline = Pipeline(opened, precision=precision, provider=provider, engine=engine, threads=threads)
    manifest = opened.manifest
    found = (
        precision_warning(manifest, pipeline.precision),
        saturation_warning(manifest, pipeline.precision, cpu_flags()),
    )
    warnings = tuple(sentence for sentence in found if sentence is not None)
    return Model(pipeline, trained=manifest.trained, warnings=warnings)


class Model:
    """Classifies stickers. Made by :func:`load`.

    Several threads may call one model: images are read in the calling thread, and runs take turns behind a lock.

    Attributes:
        class_names: the emotions, in the order of the probabilities.
        precision: precision of the graphs or engines that run.
        trained: False if the weights are random; predictions are then meaningless.
        takes_no_text: True if the model was also trained to judge an image without a text.
        warnings: sentences about this precision, for example that it missed its accuracy budget.
    """

    def __init__(self, pipeline: Pipeline, *, trained: bool, warnings: tuple[str, ...] = ()) -> None:
        self.class_names: tuple[str, ...] = pipeline.inputs.class_names
        self.precision: str = pipeline.precision
        self.trained: bool = trained
        self.takes_no_text: bool = pipeline.inputs.no_text is not None
        self.warnings: tuple[str, ...] = warnings
        self._background = pipeline.inputs.image.background
        self._pipeline: Pipeline | None = pipeline
        self._lock = threading.Lock()

    @overload
    def predict(  # type: ignore[overload-overlap]  # a str is also a Sequence[str]; here it is a path
        self,
        images: AnyImage,
        text: str | None = None,
        *,
        features: npt.ArrayLike | None = None,
        frame: str | int = "middle",
        batch: int = BATCH,
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        images: Images,
        text: Sequence[str] | None = None,
        *,
        features: npt.ArrayLike | None = None,
        frame: str | int = "middle",
        batch: int = BATCH,
    ) -> list[Prediction]: ...

    def predict(
        self,
        images: AnyImage | Images,
        text: str | Sequence[str] | None = None,
        *,
        features: npt.ArrayLike | None = None,
        frame: str | int = "middle",
        batch: int = BATCH,
    ) -> Prediction | list[Prediction]:
        """Classify a sticker, or a list of them.

        Args:
            images: a path, the bytes of a file, a PIL image, or a uint8 array [H, W], [H, W, 3] or [H, W, 4] (RGB or
                RGBA); or a list of any of these.
            text: the sticker's text; for a list of stickers, a list with one text for each. It may be None or empty if
                the model was also trained without text.
            features: the output of :meth:`encode_texts`, instead of texts: [4, C] for one sticker, [N, 4, C] for
                N.
            frame: frame of an animation: `first`, `middle`, or a number from 0.
            batch: stickers per batch.

        Raises:
            StickerError: an image cannot be read, the numbers of images and texts differ, or a text is missing.
        """
        single = is_one_image(images)
        many: list[Any] = [images] if single else list(images)  # type: ignore[arg-type]
        rows = self._features(features, len(many), single) if features is not None else None
        texts = self._texts(text, len(many), single) if rows is None else []
        if features is not None and text is not None:
            raise StickerError("give either texts or features, not both")
        if batch < 1:
            raise StickerError(f"a batch of {batch} cannot be run; give 1 or more")
        predictions: list[Prediction] = []
        for start in range(0, len(many), batch):
            part = slice(start, start + batch)
            pixels = self._pixels(many[part], start, single, frame)
            with self._lock:
                predictions += self._opened().classify(pixels, texts[part] if rows is None else rows[part])
        return predictions[0] if single else predictions

    def predict_each(
        self,
        images: Images,
        text: Sequence[str | None] | None = None,
        *,
        features: Sequence[npt.ArrayLike | None] | None = None,
        names: Sequence[str] | None = None,
        frame: str | int = "middle",
        batch: int = BATCH,
        max_pixels: int = MAX_ANIMATION_PIXELS,
    ) -> list[Prediction | StickerError]:
        """Classify stickers that do not depend on each other: a bad one gets its error, and the others their classes.

        A server can put the requests of many clients into one call.

        Args:
            images: as in :meth:`predict`.
            text: one text for each sticker, or None for a sticker with features or without a text.
            features: one row [4, C] of :meth:`encode_texts` for each sticker, or None for a sticker with a text.
            names: what errors call the stickers; `image 0`, `image 1`, ... by default.
            frame: frame of an animation: `first`, `middle`, or a number from 0.
            batch: stickers per batch.
            max_pixels: most pixels that are decoded for a file, all frames before the chosen one included. A server
                gives less than the default.

        Returns:
            One entry for each image, in their order.

        Raises:
            StickerError: the numbers of images, texts and features differ, or the batch is below 1.
        """
        if batch < 1:
            raise StickerError(f"a batch of {batch} cannot be run; give 1 or more")
        many = list(images)
        texts = _as_many(text, len(many), "text", "texts")
        rows = _as_many(features, len(many), "row of features", "rows of features")
        called = [f"image {number}" for number in range(len(many))] if names is None else list(names)
        if len(called) != len(many):
            raise StickerError(
                f"{_number(len(called), 'name')} for {_number(len(many), 'image')}; give one for each"
            )
        found: list[Prediction | StickerError] = []
        for start in range(0, len(many), batch):
            part = slice(start, start + batch)
            found += self._each(many[part], texts[part], rows[part], called[part], frame, max_pixels)
        return found

    def _each(
        self,
        images: list[Any],
        texts: list[Any],
        rows: list[Any],
        names: list[str],
        frame: str | int,
        max_pixels: int,
    ) -> list[Prediction | StickerError]:
        """Classify one batch, sticker by sticker where something is wrong."""
        found: dict[int, Prediction | StickerError] = {}
        given: dict[int, FloatArray] = {}
        for number, (text, row) in enumerate(zip(texts, rows, strict=True)):
            try:
                if row is not None and text is not None:
                    raise StickerError(f"{names[number]} has both a text and features; give one of them")
                if row is not None:
                    given[number] = self._features(row, 1, True)[0]
                elif text is not None and not isinstance(text, str):
                    raise StickerError(
                        f"the text of {names[number]} is of type {type(text).__name__}; give a string"
                    )
                elif not self.takes_no_text and not (text or "").strip():
                    raise StickerError(_no_text(names[number]))
            except StickerError as error:
                found[number] = error
        sound = [number for number in range(len(images)) if number not in found]
        pixels: dict[int, FloatArray] = {}
        for number, read in self._read(images, sound, names, frame, max_pixels):
            if isinstance(read, StickerError):
                found[number] = read
            else:
                pixels[number] = read
        if pixels:
            with self._lock:
                pipeline = self._opened()
                encoded = [number for number in pixels if number not in given]
                for number, row in zip(
                    encoded, _encoded(pipeline, [texts[number] or "" for number in encoded]), strict=True
                ):
                    if isinstance(row, StickerError):
                        found[number] = row
                        del pixels[number]
                    else:
                        given[number] = row
                if pixels:
                    features = np.stack([given[number] for number in pixels])
                    classified = pipeline.classify(np.stack(list(pixels.values())), features)
                    found.update(zip(pixels, classified, strict=True))
        return [found[number] for number in range(len(images))]

    def encode_texts(self, texts: str | Sequence[str]) -> FloatArray:
        """Encode texts once, to classify many images with them: [4, C] for one text, [N, 4, C] for N.

        Raises:
            StickerError: a text is empty, and the model was not trained without text.
        """
        single = isinstance(texts, str)
        many = self._texts(texts, 1 if single else len(texts), single)
        with self._lock:
            found = self._opened().encode_texts(many) if many else self._no_features()
        return found[0] if single else found

    @property
    def feature_width(self) -> int:
        """C of the text features [N, 4, C]."""
        return self._opened().feature_width

    def warm_up(self, batch: int = 1) -> None:
        """Run a plain image once at this batch size, so that the first request is not slower than the others."""
        images = [np.zeros((8, 8, 3), np.uint8)] * batch
        texts = None if self.takes_no_text else ["a sticker"] * batch
        self.predict(images, texts, batch=batch)

    def close(self) -> None:
        """Free the memory. The model cannot be used afterwards; a second call does nothing."""
        with self._lock:
            if self._pipeline is not None:
                self._pipeline.close()
                self._pipeline = None

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _opened(self) -> Pipeline:
        if self._pipeline is None:
            raise MGHFTError("the model is closed; load it again")
        return self._pipeline

    def _texts(self, text: str | Sequence[str] | None, count: int, single: bool) -> list[str]:
        """One text for each sticker."""
        if text is None:
            texts = [""] * count
        elif isinstance(text, str):
            if not single:
                raise StickerError(
                    f"one text for {_number(count, 'image')}; give a list with one text for each"
                )
            texts = [text]
        elif isinstance(text, Iterable):
            texts = list(text)
        else:
            raise StickerError(f"the text is of type {type(text).__name__}; give a string, or a list of them")
        if len(texts) != count:
            raise StickerError(
                f"{_number(len(texts), 'text')} for {_number(count, 'image')}; give one text for each"
            )
        for item in texts:
            if not isinstance(item, str):
                raise StickerError(f"a text is of type {type(item).__name__}; give strings")
        if not self.takes_no_text and (
            empty := [number for number, item in enumerate(texts) if not item.strip()]
        ):
            which = "the sticker" if single else f"sticker {empty[0]}"
            raise StickerError(_no_text(which))
        return texts

    def _features(self, features: npt.ArrayLike, count: int, single: bool) -> FloatArray:
        """The features as an array [count, 4, C]."""
        try:
            found = np.asarray(features, np.float32)
        except (TypeError, ValueError) as error:
            raise StickerError(
                "the features are no array of numbers; give what encode_texts returned"
            ) from error
        if single and found.ndim == 2:
            found = found[None]
        wanted = (count, 4, self.feature_width)
        if found.shape != wanted:
            raise StickerError(
                f"the features have the shape {list(found.shape)}; {_number(count, 'image')} of this model need "
                f"{list(wanted)}"
            )
        return found

    def _no_features(self) -> FloatArray:
        return np.zeros((0, 4, self.feature_width), np.float32)

    def _pixels(self, images: list[Any], first: int, single: bool, frame: str | int) -> FloatArray:
        """The pixels [B, 3, H, W] of images."""
        rows = []
        names = ["the image"] if single else [f"image {first + number}" for number in range(len(images))]
        for _, found in self._read(images, range(len(images)), names, frame):
            if isinstance(found, StickerError):
                raise found
            rows.append(found)
        return np.stack(rows)

    def _read(
        self,
        images: list[Any],
        numbers: Sequence[int],
        names: list[str],
        frame: str | int,
        max_pixels: int = MAX_ANIMATION_PIXELS,
    ) -> Iterator[tuple[int, FloatArray | StickerError]]:
        """The pixels [3, H, W] of some images, or why an image has none; several threads read them."""
        pipeline = self._opened()

        def read(number: int) -> FloatArray:
            image = rgb_image(
                images[number], names[number], background=self._background, frame=frame, max_pixels=max_pixels
            )
            pixels: FloatArray = pipeline.preprocess([image])[0]
            return pixels

        return read_ahead(numbers, read, ahead=max(1, len(numbers)))


def _no_text(which: str) -> str:
    return (
        f"{which} has no text, and this model was not trained to do without; give its text, or its features"
    )


def _encoded(pipeline: Pipeline, texts: list[str]) -> Iterator[FloatArray | StickerError]:
    """The features of texts [4, C]; a text that cannot be encoded gets its error, and the others their features."""
    if not texts:
        return
    try:
        yield from pipeline.encode_texts(texts)
    except StickerError as error:
        if len(texts) == 1:
            yield error
            return
        for text in texts:
            yield from _encoded(pipeline, [text])


def _as_many(values: Sequence[Any] | None, count: int, one: str, many: str) -> list[Any]:
    """One value for each sticker; None for each if there are none."""
    if values is None:
        return [None] * count
    if isinstance(values, str) or len(values) != count:
        number = 1 if isinstance(values, str) else len(values)
        named = f"{number} {one if number == 1 else many}"
        raise StickerError(f"{named} for {_number(count, 'image')}; give one for each")
    return list(values)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" + "s" * (count != 1)
