"""What is shown on a terminal: names and messages of strangers neither command it nor are taken for markup."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_CONTROLS = frozenset(("Cc", "Cs", "Zl", "Zp"))
"""Unicode's categories of what moves the cursor, ends a line, or is half a character (a byte that is not UTF-8)."""

_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of writing, so that a name reads as another one."""


def visible(text: object, keep: str = "") -> str:
    """A text in which every character can be shown: line ends, escapes and bytes that are not UTF-8 as `\\n`, `\\x1b`.

    What is printable stays as it is, emoji and all scripts included. `mghft-run` does the same (`cpp/src/visible.cpp`).

    Args:
        keep: control characters that stay.
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in keep
        and (character in _DIRECTIONS or unicodedata.category(character) in _CONTROLS)
        else character
        for character in str(text)
    )


class Terminal(Console):
    """A console that shows all text as :func:`visible`, and knows no markup: styles are given as such."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of what is shown."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible(segment.text, keep="\n"), segment.style)
