"""Terminal output. Names and messages from strangers can neither control the terminal nor count as markup."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_CONTROLS = frozenset(("Cc", "Cs", "Zl", "Zp"))
"""Unicode categories of characters that move the cursor or end a line, and of lone surrogates (bytes not in UTF-8)."""

_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that change the direction of writing, which can make a name look like another one."""


def visible(text: object, keep: str = "") -> str:
    """Make every character of a text visible: line ends, escapes and bytes that are not UTF-8 become `\\n`, `\\x1b`.

    Printable characters stay as they are, including emoji and all scripts. `mghft-run` does the same
    (`cpp/src/visible.cpp`).

    Args:
        keep: control characters that stay as they are.
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if character not in keep
        and (character in _DIRECTIONS or unicodedata.category(character) in _CONTROLS)
        else character
        for character in str(text)
    )


class Terminal(Console):
    """A console that shows all text as :func:`visible` and has no markup. Styles are passed separately."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments that are shown."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible(segment.text, keep="\n"), segment.style)
