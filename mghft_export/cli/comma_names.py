"""Names with commas between them, as options take them."""

from __future__ import annotations


def comma_names(words: str | None) -> tuple[str, ...]:
    """The names of `a, b`; none of nothing."""
    return tuple(name.strip() for name in (words or "").split(",") if name.strip())
