"""The interface of backends, which answer requests with images and a prompt."""

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
    """The views that are asked for; some backends can make a model answer in their form."""


@dataclass(frozen=True)
class Answer:
    """The model's answer."""

    text: str
    tokens_in: int
    """Tokens of the prompt and the images; 0 if the backend does not count them."""
    tokens_out: int
    cut: bool = False
    """Whether the answer was cut at the token limit."""


@dataclass(frozen=True)
class Unanswered:
    """A request without an answer, after retries where they can help."""

    reason: str


class Backend(Protocol):
    """A multimodal model, wherever it runs.

    A backend raises :class:`~mghft_export.errors.InterpreterError` if further requests are pointless: the model does
    not exist, or the key is refused.
    """

    model: str
    """The model's name in journals; known once the backend is open."""
    batch: int
    """Requests that one call answers together."""
    concurrency: int
    """Calls that run at the same time."""

    async def open(self) -> None:
        """Find out what the first request needs, for example :attr:`model`."""
        ...

    async def answer(self, requests: Sequence[Request]) -> list[Answer | Unanswered]:
        """Answer up to :attr:`batch` requests, in their order."""
        ...

    async def close(self) -> None:
        """Release connections and memory."""
        ...
