"""Optimisation profiles: minimum, optimum and maximum of every dynamic dimension that an engine is built for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mghft_export.bundle import GraphEntry, Manifest
from mghft_export.engines.min_opt_max import DEFAULT_BATCH, MinOptMax
from mghft_export.errors import EngineError
from mghft_export.stickers.text_tokens import padded_length
from mghft_export.stickers.views import distinct_texts

BATCH, LENGTH = "batch", "length"
"""Names of the dynamic dimensions in a bundle's graphs."""

MOST_NUMBERS = 2**31 - 1
"""Most numbers that TensorRT takes in one tensor."""

Shapes = Mapping[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
"""Minimum, optimum and maximum shape of each input, by the input's name."""


@dataclass(frozen=True)
class ProfileChoice:
    """One profile as the user asks for it.

    Attributes:
        batch: stickers per run.
        text_length: tokens per text; None for all lengths that the model allows.
    """

    batch: MinOptMax
    text_length: MinOptMax | None = None

    def halved(self) -> ProfileChoice | None:
        """The same choice with half the batch; None if the batch cannot be smaller."""
        low, best, high = self.batch
        if high <= max(low, 2):
            return None
        high = max(high // 2, low)
        return replace(self, batch=MinOptMax(low, min(best, high), high))


DEFAULT = ProfileChoice(DEFAULT_BATCH)


def parse_span(text: str, option: str) -> MinOptMax:
    """Minimum, optimum and maximum from a text like `1,8,32`.

    Raises:
        EngineError: the text is not three rising numbers.
    """
    parts = text.split(",")
    if len(parts) == 3 and all(part.strip().isdecimal() for part in parts):
        span = MinOptMax(*(int(part) for part in parts))
        if span.rises:
            return span
    raise EngineError(
        f"{option} {text!r} is not min,opt,max; give three rising numbers, as {option} {_EXAMPLES[option]}"
    )


_EXAMPLES = {"--batch": "1,8,32", "--text-length": "2,64,128"}


def parse_profiles(batches: Sequence[str], lengths: Sequence[str]) -> tuple[ProfileChoice, ...]:
    """The profiles that repeated options ask for: one for each batch. A single text length applies to all batches.

    Raises:
        EngineError: an option is malformed, or there are neither one nor as many text lengths as batches.
    """
    spans = [parse_span(text, "--batch") for text in batches] or [DEFAULT.batch]
    limits = [parse_span(text, "--text-length") for text in lengths]
    if len(limits) not in (0, 1, len(spans)):
        raise EngineError(
            f"{len(spans)} --batch and {len(limits)} --text-length do not go together; "
            "give --text-length once, or once for each --batch"
        )
    chosen = [limits[number if len(limits) > 1 else 0] if limits else None for number in range(len(spans))]
    return tuple(ProfileChoice(span, length) for span, length in zip(spans, chosen, strict=True))


def profile_shapes(graph: GraphEntry, branch: str, manifest: Manifest, choice: ProfileChoice) -> Shapes:
    """The shapes of all inputs of a branch.

    The text branch runs each distinct text once. A sticker has four with separate views, and one with joined views.

    Raises:
        EngineError: the model does not have these text lengths, or no tensor can hold the batch.
    """
    per_sticker = distinct_texts(manifest.text.views) if branch == "text" else 1
    batch, length = choice.batch, _text_length(manifest, choice.text_length)
    spans = {
        BATCH: (batch.minimum, batch.optimum * per_sticker, batch.maximum * per_sticker),
        LENGTH: length,
    }

    def at(number: int, shape: Sequence[int | str]) -> tuple[int, ...]:
        return tuple(size if isinstance(size, int) else spans[size][number] for size in shape)

    shapes = {item.name: (at(0, item.shape), at(1, item.shape), at(2, item.shape)) for item in graph.inputs}
    for name, (_, _, largest) in shapes.items():
        if math.prod(largest) > MOST_NUMBERS:
            raise EngineError(
                f"--batch {batch} is too large: {name} would have {math.prod(largest):,} numbers, and TensorRT takes "
                f"{MOST_NUMBERS:,}; lower its last number"
            )
    return shapes


def _text_length(manifest: Manifest, wanted: MinOptMax | None) -> MinOptMax:
    longest = manifest.text.max_length
    if padded_length(manifest.text.pooling, longest) is not None:
        if wanted is not None and wanted != MinOptMax(longest, longest, longest):
            raise EngineError(
                f"this model pools padding, so every text has {longest} tokens; leave out --text-length"
            )
        return MinOptMax(longest, longest, longest)
    if wanted is None:
        return MinOptMax(2, max(longest // 2, 2), longest)
    if wanted.minimum < 2 or wanted.maximum > longest:
        raise EngineError(
            f"--text-length {wanted} does not work: this model's texts have 2 to {longest} tokens"
        )
    return wanted
