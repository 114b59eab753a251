"""When two names are the same: of classes, of columns, of splits."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable


def normal_name(name: str) -> str:
    """A name in which case, white space and the ways to write one character do not matter."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def distinct_names(names: Iterable[str]) -> list[str]:
    """One spelling of each name, sorted: the most frequent, among equals the first in the alphabet."""
    spellings: dict[str, Counter[str]] = {}
    for name in names:
        spellings.setdefault(normal_name(name), Counter())[" ".join(name.split())] += 1
    return sorted(
        min(counts, key=lambda name: (-counts[name], name)) for key, counts in spellings.items() if key
    )
