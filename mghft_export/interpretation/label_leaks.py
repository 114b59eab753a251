"""Does a text name a class? Then the model that reads it would read the label instead of the sticker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

IRREGULAR = {
    "anger": ("angry", "angrily", "angrier", "angriest"),
    "hate": ("hatred",),
    "joy": ("joyous",),
}
"""Words of a label's family that no ending makes."""

_ENDINGS = (
    r"(?:s|es|ed|d|er|ers|est|ing|ings|ingly|edly|ly|y|ity|ful|fully|fulness|less|lessly|ness|some"
    r"|en|ens|ened|ening)?"
)
_AFTER_E = r"(?:e|es|ed|er|ers|est|ely|edly|eful|efully|eless|eness|ing|ings|ingly|able)"
_AFTER_Y = r"(?:y|ies|ied|ier|iest|ily|iness|ying)"

# Scripts that put no space between words, so that a name may stand anywhere.
_UNSPACED = re.compile(r"[぀-ヿ㐀-鿿豈-﫿฀-๿]")


def find_leak(text: str, labels: Sequence[str]) -> str | None:
    """The first word or phrase of a text that names one of the labels, in any case; or None.

    A name is found as a whole word, with the usual English endings: `sadness` also as `sad`, `sadly` and `sadder`,
    `happiness` as `happy`, `surprise` as `surprising`. Names of several words are found with any space between them.
    """
    pattern = _pattern(tuple(labels))
    match = pattern.search(text) if pattern else None
    return match[0] if match else None


@cache
def _pattern(labels: tuple[str, ...]) -> re.Pattern[str] | None:
    named = [label for label in labels if any(map(str.isalpha, label))]
    if not named:
        return None
    return re.compile("|".join(map(_one, named)), re.IGNORECASE)


def _one(label: str) -> str:
    if _UNSPACED.search(label):
        return re.escape(label.strip())
    *before, last = re.findall(r"\w+", label.casefold())
    family = "|".join([_family(last), *map(re.escape, IRREGULAR.get(last, ()))])
    phrase = r"[\W_]+".join([*map(re.escape, before), f"(?:{family})"])
    return rf"(?<!\w){phrase}(?!\w)"


def _family(word: str) -> str:
    """A pattern of a word and what the usual endings make of it; `-ness` is one of these endings."""
    if not word.isascii() or len(word) < 3:
        return re.escape(word)
    stem = word.removesuffix("ness")
    if stem.endswith("i") and stem != word:
        stem = stem[:-1] + "y"
    if stem.endswith("e"):
        return re.escape(stem[:-1]) + _AFTER_E
    if stem.endswith("y") and stem[-2] not in "aeiou":
        return re.escape(stem[:-1]) + _AFTER_Y
    doubled = rf"(?:{stem[-1]}(?=[ei]))?" if stem[-1] not in "aeiouwxy" else ""
    return re.escape(stem) + doubled + _ENDINGS
