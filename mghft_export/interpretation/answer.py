"""Parses a model's answer into views: JSON, faulty JSON, or headings; it takes all that it can understand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from mghft_export.errors import InterpreterError
from mghft_export.files.foreign_json import parse_json
from mghft_export.optional_packages import optional_module
from mghft_export.stickers.views import VIEWS, split_views, view_body

KEYS = {view: view.replace(" ", "_") for view in VIEWS}
"""View -> its key in JSON."""

LONGEST_ANSWER = 20_000
"""Most characters that are read; a model that writes more is repeating itself."""

_NAMES = {
    "intention": ("intent",),
    "style": ("style",),
    "main role": ("mainrole", "maincharacter", "role", "character"),
    "gesture": ("gesture", "posture"),
}
"""View -> how its names begin, in lower case."""

_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)

_HEADING = re.compile(
    r"""^[ \t>*_#\-•\d.)(]*                                       # bullets, numbers, Markdown
        (?:the\s+)?(?:sticker['’]s\s+)?
        (intentions?|intent|styles?|main[\s_-]*(?:role|character)|role|character|gestures?|posture)
        (?:\s*(?:\([^)\n]*\)|(?:and|&|/)\s*[^\W_]+))?             # "(posture)", "and expression"
        [*_\s]*(?:[:：]|\s[-–—]\s|\sis\s|$)""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
_QUOTED = re.compile(r"""\"[^\"]*\"|'[^']*'|“[^“”]*”""")
"""One pair of quotation marks around everything; others belong to the sticker's lettering."""

_PREAMBLE = re.compile(
    r"^(?:the\s+)?(?:sticker['’]s\s+)?(?:intention|style|main\s+role|gesture)\s*(?:is\b|:)\s*", re.IGNORECASE
)


def json_schema(views: Sequence[str]) -> dict[str, Any]:
    """JSON schema of an answer with these views, as OpenAI's strict mode needs it: all required, no others."""
    keys = [KEYS[view] for view in views]
    return {
        "type": "object",
        "properties": {key: {"type": "string"} for key in keys},
        "required": keys,
        "additionalProperties": False,
    }


def parse_answer(text: str, views: Sequence[str]) -> dict[str, str]:
    """The views of an answer, in one line each, without those that were not asked for or not answered.

    It reads JSON objects, alone or with text around them, with the usual faults (code fences, trailing commas, single
    quotes, a missing end), the `#The sticker's ...` form and headings. Plain words are not taken as a view, because
    they may be a refusal.
    """
    text = _THOUGHTS.sub("", text).strip()[:LONGEST_ANSWER]
    found = _from_json(text) or _from_markers(text) or _from_headings(text)
    cleaned = {view: _clean(found[view]) for view in views if view in found}
    return {view: words for view, words in cleaned.items() if any(map(str.isalnum, words))}


def _from_json(text: str) -> dict[str, str]:
    start = re.search(r"[{\[]", text)
    if start is None:
        return {}
    try:
        values = parse_json(text)
    except ValueError:
        try:
            values = optional_module("json_repair", "the interpreter", InterpreterError).loads(
                text[start.start() :]
            )
        except (ValueError, RecursionError):
            return {}
    found: dict[str, str] = {}
    for name, value in _entries(values):
        view = _named_view(name)
        if view is not None and (words := _words(value)):
            found[view] = (
                words  # the last of several objects counts: drafts and echoes of the request come before
            )
    return found


def _named_view(name: str) -> str | None:
    """The view that a key or heading means: "mainRole", "The sticker's style", "Gesture and expression"."""
    letters = re.sub(r"^(?:the)?(?:stickers?)?", "", re.sub(r"[^a-z]", "", name.casefold()))
    return next((view for view, names in _NAMES.items() if letters.startswith(names)), None)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of an object, of the objects in it, and of `{"view": name, "text": value}`."""
    if isinstance(value, list):
        for item in value:
            yield from _entries(item)
    elif isinstance(value, dict):
        named = next((value[key] for key in ("view", "name") if isinstance(value.get(key), str)), None)
        text = next((value[key] for key in ("text", "description", "value") if key in value), None)
        if named is not None and text is not None:
            yield named, text
        for name, item in value.items():
            yield str(name), item
            yield from _entries(item)


def _words(value: Any) -> str:
    """A view's value as text: strings, and strings in lists and objects."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(filter(None, map(_words, value)))
    if isinstance(value, dict):
        return "; ".join(filter(None, map(_words, value.values())))
    return ""


def _from_markers(text: str) -> dict[str, str]:
    if not text:
        return {}
    split = split_views(text)
    return {
        view: view_body(body)
        for view, body in zip(VIEWS, split.views, strict=True)
        if view not in split.missing
    }


def _from_headings(text: str) -> dict[str, str]:
    headings = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in headings), len(text)][1:]
    found = {}
    for heading, end in zip(headings, ends, strict=True):
        body = text[heading.end() : end].strip()
        view = _named_view(heading[1])
        if view is not None and body:
            found[view] = body.split("\n\n")[0]  # the text after an empty line is a closing remark
    return found


def _clean(words: str) -> str:
    whole = words.encode(
        "utf-8", "ignore"
    ).decode()  # JSON can encode half of an emoji, which no file can store
    plain = " ".join(re.sub(r"[*`]+", "", whole).split()).strip(" ,")
    if _QUOTED.fullmatch(plain):
        plain = plain[1:-1].strip(" ,")
    return _PREAMBLE.sub("", plain).removeprefix("is ")
