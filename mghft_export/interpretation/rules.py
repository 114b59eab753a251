"""Decides whether a view can be used: it is neither too short nor too long, and names no class."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil

from mghft_export.interpretation.label_leaks import find_leak
from mghft_export.stickers.datasets.labels import SER30K_CLASSES

LEAST_WORDS = 8
MOST_WORDS = 80

# Scripts without spaces between words, and how many of their characters make a word of the usual length.
_UNSPACED = (
    (re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"), 2),  # Japanese, Chinese
    (re.compile(r"[\u0e00-\u0e7f]"), 4),  # Thai
)


@dataclass(frozen=True)
class Rules:
    """What a view must fulfil."""

    labels: tuple[str, ...] = SER30K_CLASSES
    """Names that must not be used; empty allows all."""
    least_words: int = LEAST_WORDS
    most_words: int = MOST_WORDS

    def fault(self, view: str) -> str | None:
        """What is wrong with a view, in words for both the model and the user; None if nothing is wrong."""
        words = count_words(view)
        if words < self.least_words:
            return f"it had {words} words; write at least {self.least_words}"
        if words > self.most_words:
            return f"it had {words} words; write at most {self.most_words}"
        leak = find_leak(view, self.labels)
        if leak is not None:
            return f'it used the word "{leak}", which names a class; say it without that word'
        return None


def count_words(text: str) -> int:
    """Words between spaces; in scripts without them, two Chinese or Japanese or four Thai characters are a word."""
    count = 0
    for signs, a_word in _UNSPACED:
        count += ceil(len(signs.findall(text)) / a_word)
        text = signs.sub(" ", text)
    return count + sum(any(map(str.isalnum, word)) for word in text.split())
