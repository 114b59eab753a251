"""A cache in memory of the text features of texts that were encoded before."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

MOST_TEXTS = 4096
"""Most texts that are kept: 8 MB of features in the paper's size."""


class TextCache:
    """The most recently used text features. Several pipelines may share one cache.

    Args:
        most: most texts that are kept.
    """

    def __init__(self, most: int = MOST_TEXTS) -> None:
        self._most = most
        self._rows: OrderedDict[str, FloatArray] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def features(
        self, branch: str, texts: Sequence[str], encode: Callable[[list[str]], FloatArray]
    ) -> FloatArray:
        """Text features, one row per text. Texts that are not in the cache are encoded, each distinct one once.

        Args:
            branch: identifier of all else that features depend on: graph, tokenizer, settings and runtime.
            encode: encodes distinct texts: n texts -> [n, C].
        """
        keys = {text: text_key(branch, text) for text in texts}
        found = {text: self._rows[key] for text, key in keys.items() if key in self._rows}
        if missing := [text for text in keys if text not in found]:
            found.update(zip(missing, encode(missing), strict=True))
        for text, key in keys.items():
            self._rows[key] = found[text]
            self._rows.move_to_end(key)
        while len(self._rows) > self._most:
            self._rows.popitem(last=False)
        return np.stack([found[text] for text in texts])


def text_key(branch: str, text: str) -> str:
    """SHA-256 of everything that a text's features depend on."""
    return hashlib.sha256(f"{branch}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
