"""Finds class names in texts: a model could read the label from them instead of from the sticker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

GROUPS = (("anger", "angry"), ("hate", "hatred"), ("joy", "joyous"))
"""Words of one family that differ by more than an ending."""

_ENDINGS = (
    r"(?:s|es|ed|d|er|ers|est|ing|ings|ingly|edly|ly|y|ity|ful|fully|fulness|less|lessly|ness|some"
    r"|en|ens|ened|ening|ment|ments|ion|ions)?"
)
_AFTER_E = (
    r"(?:e|es|ed|er|ers|est|ely|edly|edness|edom|eful|efully|eless|ement|ements|eness|ing|ings|ingly"
    r"|ion|ions|able)"
)
_AFTER_Y = r"(?:y|ies|ied|ier|iest|ily|iness|ying)"

# Scripts that put no space between words, so that a name may stand anywhere: Japanese, Chinese, Thai.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")

# Korean joins particles to the end of its words.
_HANGUL = re.compile(r"[\uac00-\ud7a3]")


def find_leak(text: str, labels: Sequence[str]) -> str | None:
    """The first word or phrase of a text that names one of the labels, in any case; or None.

    A name is found as a whole word, with other English endings and with `un-`: `sadness` also as `sad` and `sadder`,
    `happiness` as `unhappy`, `surprised` as `surprise`. Names of several words are found with any space between
    them, Korean ones with particles behind them, Chinese, Japanese and Thai ones everywhere.
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
    if _HANGUL.search(label):
        return rf"(?<!\w){re.escape(label.strip())}"
    *before, last = re.findall(r"\w+", label.casefold())
    family = "|".join(dict.fromkeys(map(_endings, _relatives(last))))
    phrase = r"[\W_]+".join([*map(re.escape, before), f"(?:{family})"])
    return rf"(?<!\w)(?:un)?{phrase}(?!\w)"


def _relatives(word: str) -> list[str]:
    """A word, the words that it derives from, and the words in the same groups (:data:`GROUPS`)."""
    words = _origins(word) if word.isascii() else [word]
    return words + [other for group in GROUPS if not set(group).isdisjoint(words) for other in group]


def _origins(word: str) -> list[str]:
    """A word, and the words left after removing its endings one by one: playfulness, playful, play."""
    words = [word]
    for endings in (("ness",), ("ment", "ful", "dom"), ("ed", "ing", "ion")):
        ending = next((ending for ending in endings if words[-1].endswith(ending)), "")
        stem = words[-1].removesuffix(ending)
        if not ending or len(stem) < 3 or not re.search("[aeiouy]", stem):
            continue
        if stem.endswith("i"):
            words.append(stem[:-1] + "y")
        elif ending not in ("ed", "ing", "ion"):
            words.append(stem)
        elif re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]|.*[aeiou][sv]|.*at", stem):
            words.append(stem + "e")  # bored, confusion: without an e, the consonant would be doubled
        elif ending != "ion":
            words += [stem, stem + "e"]
    return words


def _endings(word: str) -> str:
    """A pattern for a word, also with other endings."""
    if not word.isascii() or len(word) < 3:
        return re.escape(word)
    if word.endswith("e"):
        return re.escape(word[:-1]) + _AFTER_E
    if word.endswith("y") and word[-2] not in "aeiou":
        return re.escape(word[:-1]) + _AFTER_Y
    doubled = rf"(?:{word[-1]}(?=[ei]))?" if word[-1] not in "aeiouwxy" else ""
    return re.escape(word) + doubled + _ENDINGS
