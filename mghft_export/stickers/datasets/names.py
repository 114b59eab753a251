"""Compare names of classes, columns and splits."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable


def normal_name(name: str) -> str:
    """A form of a name that does not depend on case, white space or the encoding of a character."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def distinct_names(names: Iterable[str]) -> list[str]:
    """One spelling of each name, sorted: the most frequent one; ties go to the first in the alphabet."""
    spellings: dict[str, Counter[str]] = {}
    for name in names:
        spellings.setdefault(normal_name(name), Counter())[" ".join(name.split())] += 1
    return sorted(
        min(counts, key=lambda name: (-counts[name], name)) for key, counts in spellings.items() if key
    )
