"""What describes stickers: anything that answers requests of images and a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mghft_export.interpretation.frames import Frames


@dataclass(frozen=True)
class Request:
    """One question about one sticker."""

    frames: Frames
    prompt: str
    views: tuple[str, ...]
    """What is asked for, for backends that can make a model answer in a given form."""


@dataclass(frozen=True)
class Answer:
    """What the model said."""

    text: str
    tokens_in: int
    """Of the prompt and the images; 0 where the backend does not count."""
    tokens_out: int
    cut: bool = False
    """Whether it had more to say than it may."""


@dataclass(frozen=True)
class Unanswered:
    """A request that came to nothing, though it was repeated where that can help."""

    reason: str


class Backend(Protocol):
    """A multimodal model, wherever it runs.

    Everything that makes further requests senseless (no such model, a key that is refused) is raised as an
    :class:`~mghft_export.errors.InterpreterError`.
    """

    model: str
    """As journals name it; known once the backend is open."""
    batch: int
    """Requests that one call answers together."""
    concurrency: int
    """Calls that run beside each other."""

    async def open(self) -> None:
        """Find out what has to be known before the first request, such as :attr:`model`."""
        ...

    async def answer(self, requests: Sequence[Request]) -> list[Answer | Unanswered]:
        """Answer up to :attr:`batch` requests, in their order."""
        ...

    async def close(self) -> None:
        """Give back connections and memory."""
        ...
