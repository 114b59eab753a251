"""Options with several names, separated by commas."""

from __future__ import annotations


def comma_names(words: str | None) -> tuple[str, ...]:
    """The names in `a, b`; an empty tuple for None or empty text."""
    return tuple(name.strip() for name in (words or "").split(",") if name.strip())
