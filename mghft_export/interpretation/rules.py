"""When a view can be used: it is neither too short nor too long, and names no class."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mghft_export.interpretation.label_leaks import find_leak
from mghft_export.stickers.datasets.labels import SER30K_CLASSES

LEAST_WORDS = 8
MOST_WORDS = 80

# A sign of Chinese or Japanese counts as a word; there are no spaces to count by.
_WORD = re.compile(r"[぀-ヿ㐀-鿿豈-﫿]|[^\s぀-ヿ㐀-鿿豈-﫿]+")


@dataclass(frozen=True)
class Rules:
    """What a view must fulfil."""

    labels: tuple[str, ...] = SER30K_CLASSES
    """Names that must not be used; empty allows all."""
    least_words: int = LEAST_WORDS
    most_words: int = MOST_WORDS

    def fault(self, view: str) -> str | None:
        """What is wrong with a view, as the model is told and the user reads it; None where nothing is."""
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
    """Words between spaces; in Chinese and Japanese, signs."""
    return sum(any(map(str.isalnum, word)) for word in _WORD.findall(text))
