"""Checks whether MGHFT can learn from texts: missing views, lengths, named classes, views that say the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from mghft_export.interpretation.label_leaks import find_leak
from mghft_export.interpretation.rules import Rules, count_words
from mghft_export.interpretation.texts_to_check import TextOfImage
from mghft_export.stickers.views import VIEWS, split_views, view_body

SAME_WORDS = 0.7
"""Share of their different words that two views must have in common (Jaccard) to count as near-duplicates."""

MOST_EXAMPLES = 10


@dataclass(frozen=True)
class ViewReport:
    """One view over all texts."""

    missing: int
    too_short: int
    too_long: int
    leaks: int
    words_p5: int
    words_p50: int
    words_p95: int


@dataclass(frozen=True)
class Finding:
    """One fault to look at."""

    image: Path
    view: str
    what: str


@dataclass(frozen=True)
class TextReport:
    """The result of a check."""

    stickers: int
    complete: int
    """Texts in which all four views fulfil the rules."""
    views: dict[str, ViewReport]
    leaked_words: dict[str, int]
    """Word that names a class -> number of views that use it."""
    near_duplicates: dict[str, int]
    """"style / gesture" -> number of stickers in which both views say the same."""
    repeated_texts: int
    """Stickers that share their text with another sticker."""
    examples: tuple[Finding, ...]
    """The first :data:`MOST_EXAMPLES` of missing, short, long and leaking views."""

    @property
    def sound(self) -> bool:
        """Whether every text fulfils the rules."""
        return self.complete == self.stickers


def check_texts(rows: Sequence[TextOfImage], rules: Rules) -> TextReport:
    """Check texts against the interpreter's own rules, and look for views and texts that repeat others."""
    lengths: dict[str, list[int]] = {view: [] for view in VIEWS}
    counts: Counter[tuple[str, str]] = Counter()
    leaked: Counter[str] = Counter()
    duplicates: Counter[str] = Counter()
    findings: list[Finding] = []
    complete = 0
    for row in rows:
        bodies = _bodies(row.text)
        faults = 0
        for view in VIEWS:
            body = bodies.get(view)
            what = "missing" if body is None else rules.fault(body)
            if body is not None:
                lengths[view].append(count_words(body))
                counts[view, _kind(body, rules)] += 1
                if leak := find_leak(body, rules.labels):
                    counts[view, "leak"] += 1
                    leaked[leak.casefold()] += 1
            if what is not None:
                faults += 1
                counts[view, "missing"] += body is None
                if len(findings) < MOST_EXAMPLES:
                    findings.append(Finding(row.image, view, what.partition(";")[0]))
        complete += not faults
        duplicates.update(f"{one} / {other}" for one, other in near_duplicates(bodies))
    texts = Counter(row.text for row in rows if row.text.strip())
    return TextReport(
        stickers=len(rows),
        complete=complete,
        views={view: _view_report(view, counts, lengths[view]) for view in VIEWS},
        leaked_words=dict(leaked.most_common()),
        near_duplicates=dict(duplicates.most_common()),
        repeated_texts=sum(count for count in texts.values() if count > 1),
        examples=tuple(findings),
    )


def near_duplicates(views: dict[str, str]) -> list[tuple[str, str]]:
    """Pairs of views with :data:`SAME_WORDS` of their words in common."""
    words = {view: set(re.findall(r"\w+", body.casefold())) for view, body in views.items()}
    return [
        (one, other)
        for one, other in combinations(words, 2)
        if words[one] and len(words[one] & words[other]) >= SAME_WORDS * len(words[one] | words[other])
    ]


def _bodies(text: str) -> dict[str, str]:
    if not text.strip():
        return {}
    split = split_views(text)
    found = zip(VIEWS, split.views, strict=True)
    return {view: view_body(body) for view, body in found if view not in split.missing}


def _kind(body: str, rules: Rules) -> str:
    words = count_words(body)
    return "short" if words < rules.least_words else "long" if words > rules.most_words else "good"


def _view_report(view: str, counts: Counter[tuple[str, str]], lengths: list[int]) -> ViewReport:
    p5, p50, p95 = np.percentile(lengths or [0], (5, 50, 95), method="nearest").tolist()
    missing, short, long, leaks = (counts[view, kind] for kind in ("missing", "short", "long", "leak"))
    return ViewReport(missing, short, long, leaks, int(p5), int(p50), int(p95))
