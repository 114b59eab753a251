"""Split the text of a sticker into its four views: intention, style, main role, gesture."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mghft_export.config import ViewMode
from mghft_export.errors import StickerError

VIEWS = ("intention", "style", "main role", "gesture")
"""In the order of the pyramid's stages."""

Views = tuple[str, str, str, str]

# "#The sticker's main role" in any case and spacing, with a typewriter's or a typographer's apostrophe.
_MARKER = re.compile(
    r"#\s*the\s+sticker\s*['’‘ʼ′`´＇]\s*s\s+(intention|style|main\s+role|gesture)\b", re.IGNORECASE
)
_INNER_MARKER = re.compile(rf"(?:#\s*)+(?={_MARKER.pattern.removeprefix('#')})", re.IGNORECASE)


@dataclass(frozen=True)
class TextViews:
    """A sticker's text, split into its views."""

    whole: str
    """The text as it was given."""
    views: Views
    """One text for each of :data:`VIEWS`, from its own marker to the next marker, without white space around it."""
    missing: tuple[str, ...]
    """The :data:`VIEWS` without a marker. Their text is the whole text."""


def split_views(text: str) -> TextViews:
    """Cut a text at its markers (``#The sticker's intention``, ...), which may stand in any order.

    Words before the first marker belong to no view. A marker that occurs again is ordinary text: it neither starts nor
    ends a view, so that every word after the first marker belongs to exactly one view.

    Raises:
        StickerError: the text is empty.
    """
    if not text.strip():
        raise StickerError("the sticker's text is empty; describe the sticker or use the interpreter")
    starts: dict[str, int] = {}
    for marker in _MARKER.finditer(text):
        starts.setdefault(" ".join(marker[1].lower().split()), marker.start())
    ends = [*starts.values(), len(text)][1:]
    found = {name: text[start:end].strip() for (name, start), end in zip(starts.items(), ends, strict=True)}
    intention, style, main_role, gesture = (found.get(name, text) for name in VIEWS)
    return TextViews(
        whole=text,
        views=(intention, style, main_role, gesture),
        missing=tuple(name for name in VIEWS if name not in found),
    )


def join_views(views: Views) -> str:
    """Join four views to one text, each after its marker. :func:`split_views` splits it again.

    White space becomes single spaces. A marker inside a view loses its ``#``, since it would begin a new view.

    Raises:
        StickerError: a view is empty.
    """
    plain = [_INNER_MARKER.sub("", " ".join(view.split())) for view in views]
    for name, view in zip(VIEWS, plain, strict=True):
        if not view:
            raise StickerError(f"the view of the sticker's {name} is empty; describe it or ask again")
    return " ".join(f"#The sticker's {name}: {view}" for name, view in zip(VIEWS, plain, strict=True))


def view_body(view: str) -> str:
    """The text of a view after its marker and a colon; all of it if it has no marker."""
    body = view.strip()
    marker = _MARKER.match(body)
    return body[marker.end() :].lstrip(" \t\n:：–—-") if marker else body


def distinct_texts(mode: ViewMode) -> int:
    """How many texts of a sticker are encoded. Joined views are four times the same text."""
    return 1 if mode == "joined" else len(VIEWS)


def view_texts(text: str, mode: ViewMode) -> Views:
    """The texts for the text encoder, in the order of :data:`VIEWS`.

    Args:
        mode: a property of the checkpoint. ``"joined"`` is the whole text four times, as in the released data loader;
            ``"separate"`` is each view by itself, as in the paper.

    Raises:
        StickerError: the text is empty.
    """
    split = split_views(text)
    return split.views if mode == "separate" else (split.whole,) * 4
