"""Rows of ONNX Runtime, OpenVINO and engines. The same code runs them all, through the session protocol."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mghft_export.bench.gpu_times import GpuTimes, StepClock, median_times
from mghft_export.bench.inputs import (
    distinct_views,
    pixel_batches,
    sticker_batches,
    text_batches,
)
from mghft_export.bench.subjects import Subject
from mghft_export.bundle import Bundle, load_bundle
from mghft_export.bundle.tokenizer import bundle_tokenizer
from mghft_export.config import MGHFTConfig
from mghft_export.engines.min_opt_max import DEFAULT_BATCH, MinOptMax
from mghft_export.runtime.branches import Branches, onnx_branches
from mghft_export.runtime.graph_session import open_graph
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.runtime.session import Array, DeviceArray, Session, Stream
from mghft_export.runtime.text_cache import TextCache
from mghft_export.stickers.image import open_sticker

Feeds = Mapping[str, Array]


def prepare_sessions(subject: Subject) -> Callable[[], object]:
    """A function that runs once.

    Raises:
        MGHFTError: the provider or the engines do not run here.
    """
    bundle = load_bundle(subject.bundle)
    if subject.part == "pipeline":
        return _pipeline(subject, bundle)
    sessions = _open(subject, bundle)
    return PartRun(subject, bundle, sessions)


@dataclass(frozen=True)
class _Sessions:
    """The sessions of the branches that a part needs."""

    vision: Session | None = None
    text: Session | None = None
    fusion: Session | None = None


NEEDS = {
    "vision": ("vision",),
    "text": ("text",),
    "vision+fusion": ("vision", "fusion"),
    "whole": ("vision", "text", "fusion"),
}
"""The branches of each part."""


class PartRun:
    """Runs a part on rotating inputs. Each call runs once, from host to host or, without transfers, on the device."""

    def __init__(self, subject: Subject, bundle: Bundle, sessions: _Sessions) -> None:
        self._sessions = sessions
        self._rows = subject.batch
        self._width = MGHFTConfig.from_dict(bundle.manifest.model).shared_dim
        first = sessions.text if subject.part == "text" else sessions.vision
        assert first is not None
        self._stream: Stream | None = first.open_stream()
        self._feeds = _feeds(subject, bundle, self._width)
        self._numbers = itertools.cycle(range(len(self._feeds)))
        self._transfers = subject.io_transfers
        self._uploaded = {} if subject.io_transfers else self._upload(self._feeds[0])

    def __call__(self) -> object:
        uploaded = self._upload(self._feeds[next(self._numbers)]) if self._transfers else self._uploaded
        outputs = self._compute(uploaded)
        if self._transfers:
            return self._download(outputs)
        if self._stream is not None:
            self._stream.synchronize()
        return outputs

    def phases(self, runs: int) -> GpuTimes | None:
        """Times of transfers and compute separately; None if there is no stream to record events on."""
        if self._stream is None:
            return None
        clock = StepClock(self._stream)
        samples = [self._timed(clock, self._feeds[next(self._numbers)]) for _ in range(runs)]
        clock.close()
        return median_times(samples)

    def _timed(self, clock: StepClock, feeds: Feeds) -> GpuTimes:
        inputs: dict[str, DeviceArray] = {}
        outputs: dict[str, DeviceArray] = {}
        return clock.time(
            lambda: inputs.update(self._upload(feeds)),
            lambda: outputs.update(self._compute(inputs)),
            lambda: self._download(outputs),
        )

    def _upload(self, feeds: Feeds) -> dict[str, DeviceArray]:
        found: dict[str, DeviceArray] = {}
        for session in (self._sessions.text, self._sessions.vision, self._sessions.fusion):
            if session is not None:
                own = {name: array for name, array in feeds.items() if name in session.inputs}
                found.update(session.upload(own, self._stream))
        return found

    def _compute(self, inputs: dict[str, DeviceArray]) -> dict[str, DeviceArray]:
        vision, text, fusion = self._sessions.vision, self._sessions.text, self._sessions.fusion
        outputs: dict[str, DeviceArray] = {}
        if text is not None:
            outputs = text.run_device(_own(text, inputs), self._stream)
        if vision is not None:
            features = outputs.get("text_features")
            outputs = vision.run_device(_own(vision, inputs), self._stream)
            if fusion is not None:
                if features is not None:
                    assert text is not None
                    inputs = {**inputs, **self._views(text, fusion, features)}
                outputs = fusion.run_device({**outputs, **_own(fusion, inputs)}, self._stream)
        return outputs

    def _views(self, text: Session, fusion: Session, features: DeviceArray) -> dict[str, DeviceArray]:
        """Text features of the distinct views -> of all four. They pass through the host, as in the pipeline."""
        encoded = text.download({"text_features": features}, self._stream)["text_features"]
        rows = np.broadcast_to(encoded.reshape(self._rows, -1, self._width), (self._rows, 4, self._width))
        return fusion.upload({"text_features": np.ascontiguousarray(rows)}, self._stream)

    def _download(self, outputs: dict[str, DeviceArray]) -> object:
        last = self._sessions.fusion or self._sessions.vision or self._sessions.text
        assert last is not None
        return last.download(outputs, self._stream)


def _own(session: Session, arrays: Mapping[str, DeviceArray]) -> dict[str, DeviceArray]:
    return {name: array for name, array in arrays.items() if name in session.inputs}


def _feeds(subject: Subject, bundle: Bundle, width: int) -> list[Feeds]:
    """Inputs of each rotating batch."""
    batches = sticker_batches(subject)
    feeds: list[dict[str, Array]] = [{} for _ in batches]
    if subject.part in ("text", "whole"):
        texts = text_batches(
            batches, bundle, bundle_tokenizer(bundle), views=distinct_views(bundle), length=subject.length
        )
        for feed, text in zip(feeds, texts, strict=True):
            feed.update(input_ids=text.input_ids, attention_mask=text.attention_mask)
    if subject.part != "text":
        for feed, pixels in zip(feeds, pixel_batches(batches, bundle), strict=True):
            feed["image"] = pixels
    if subject.part == "vision+fusion":
        features = np.random.default_rng(2).standard_normal((subject.batch, 4, width), dtype=np.float32)
        for feed in feeds:
            feed["text_features"] = features
    return list(feeds)


def _open(subject: Subject, bundle: Bundle) -> _Sessions:
    if subject.implementation == "engine":
        branches = _engines(subject, bundle)
        return _Sessions(**{branch: getattr(branches, branch) for branch in NEEDS[subject.part]})
    longest = bundle.manifest.text.max_length
    sizes = {"batch": DEFAULT_BATCH, "length": MinOptMax(2, longest, longest)}
    sessions = {}
    for branch in NEEDS[subject.part]:
        with bundle.opening(branch, subject.precision) as path:
            sessions[branch] = open_graph(
                path, provider=subject.provider, threads=subject.threads, sizes=sizes
            )
    return _Sessions(**sessions)


def _engines(subject: Subject, bundle: Bundle) -> Branches:
    from mghft_export.runtime.engine_branches import engine_branches

    return engine_branches(bundle, str(subject.engine), cuda_graphs=subject.cuda_graph)


def _pipeline(subject: Subject, bundle: Bundle) -> Callable[[], object]:
    """A function that runs from files to probabilities, like `mghft-export predict`, without caching texts."""
    if subject.implementation == "engine":
        branches = _engines(subject, bundle)
    else:
        branches = onnx_branches(
            bundle, precision=subject.precision, provider=subject.provider, threads=subject.threads
        )
    pipeline = Pipeline(bundle, branches=branches, texts=TextCache(most=0))
    background = bundle.manifest.image.background
    batches = itertools.cycle(sticker_batches(subject))

    def once() -> object:
        batch = next(batches)
        images = [open_sticker(sticker.image, background=background) for sticker in batch]
        return pipeline.predict(images, [sticker.text for sticker in batch])

    return once
