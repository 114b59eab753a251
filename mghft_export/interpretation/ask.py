"""Describes stickers: asks for all four views at once, then again for those that are missing or break a rule."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mghft_export.errors import StickerError
from mghft_export.interpretation.answer import parse_answer
from mghft_export.interpretation.frames import LARGEST_SIDE, Frames, sticker_frames
from mghft_export.interpretation.prompt import PROMPT_VERSION, write_prompt
from mghft_export.interpretation.protocol import Answer, Backend, Request
from mghft_export.interpretation.record import Record, Source
from mghft_export.interpretation.rules import Rules
from mghft_export.stickers.views import VIEWS

ATTEMPTS = 4
"""Most requests for one sticker, including the first."""


@dataclass(frozen=True)
class Manner:
    """How stickers are described."""

    language: str = "English"
    rules: Rules = field(default_factory=Rules)
    attempts: int = ATTEMPTS
    background: str = "white"
    largest_side: int = LARGEST_SIDE
    prompt: str = PROMPT_VERSION

    def source(self, backend: Backend) -> Source:
        """The source of the texts that this model writes in this manner."""
        return Source(backend.model, self.prompt, self.language)


@dataclass(frozen=True)
class Work:
    """An image to describe."""

    image: Path
    sha256: str
    views: Mapping[str, str] = field(default_factory=dict)
    """The views that an earlier run got."""


@dataclass(frozen=True)
class Outcome:
    """The result for one image."""

    record: Record
    answered: bool
    """Whether the model answered; also true if the image file cannot be read, which is not the model's fault."""


@dataclass
class _Sticker:
    """An image that is being described."""

    work: Work
    frames: Frames
    views: dict[str, str]
    faults: dict[str, str] = field(default_factory=dict)
    failure: str | None = None
    answered: bool = True
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def wanted(self) -> tuple[str, ...]:
        return () if self.failure else tuple(view for view in VIEWS if view not in self.views)


async def describe(works: Sequence[Work], backend: Backend, manner: Manner) -> list[Outcome]:
    """Describe up to ``backend.batch`` stickers; one that cannot be described comes back with its failure.

    Raises:
        InterpreterError: the backend can answer nothing at all.
    """
    stickers = list(await asyncio.gather(*(asyncio.to_thread(_open, work, manner) for work in works)))
    for _ in range(manner.attempts):
        waiting = [sticker for sticker in stickers if sticker.wanted]
        if not waiting:
            break
        requests = [_request(sticker, manner) for sticker in waiting]
        for sticker, answer in zip(waiting, await backend.answer(requests), strict=True):
            sticker.requests += 1
            if isinstance(answer, Answer):
                _take(sticker, answer, manner.rules)
            else:
                sticker.failure, sticker.answered = answer.reason, False
    source = manner.source(backend)
    return [Outcome(_record(sticker, source), sticker.answered) for sticker in stickers]


def _open(work: Work, manner: Manner) -> _Sticker:
    views = dict(work.views)
    try:
        frames = sticker_frames(work.image, background=manner.background, largest_side=manner.largest_side)
    except StickerError as error:
        return _Sticker(work, (), views, failure=str(error))
    return _Sticker(work, frames, views)


def _request(sticker: _Sticker, manner: Manner) -> Request:
    prompt = write_prompt(
        sticker.wanted,
        frames=len(sticker.frames),
        language=manner.language,
        labels=manner.rules.labels,
        faults=sticker.faults,
        version=manner.prompt,
    )
    return Request(sticker.frames, prompt, sticker.wanted)


def _take(sticker: _Sticker, answer: Answer, rules: Rules) -> None:
    sticker.answered = True
    sticker.tokens_in += answer.tokens_in
    sticker.tokens_out += answer.tokens_out
    wanted = sticker.wanted
    found = parse_answer(answer.text, wanted)
    sticker.faults = {}
    for view in wanted:
        if view not in found:
            cut = "; the answer was cut at its longest" if answer.cut else ""
            sticker.faults[view] = f"it was missing{cut}"
        elif fault := rules.fault(found[view]):
            sticker.faults[view] = fault
        else:
            sticker.views[view] = found[view]


def _record(sticker: _Sticker, source: Source) -> Record:
    failure = sticker.failure
    if failure is None and sticker.wanted:
        failure = "; ".join(f"{view}: {sticker.faults.get(view, 'not asked for')}" for view in sticker.wanted)
    return Record(
        image=sticker.work.sha256,
        model=source.model,
        prompt=source.prompt,
        language=source.language,
        file=str(sticker.work.image),
        views={view: sticker.views[view] for view in VIEWS if view in sticker.views},
        failure=failure,
        requests=sticker.requests,
        tokens_in=sticker.tokens_in,
        tokens_out=sticker.tokens_out,
    )
