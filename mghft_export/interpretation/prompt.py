"""Writes the request to the model from the texts of one prompt version.

A version is a folder of `prompts/`. Its texts never change once stickers were described with them, because journals
store the version and not the texts. Other words need a new version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from string import Template

from mghft_export.interpretation.answer import KEYS

PROMPT_VERSION = "1"
"""The newest version."""


def write_prompt(
    views: Sequence[str],
    *,
    frames: int,
    language: str,
    labels: Sequence[str] = (),
    faults: Mapping[str, str] | None = None,
    version: str = PROMPT_VERSION,
) -> str:
    """The words of one request.

    Args:
        views: the views to ask for, of :data:`~mghft_export.stickers.views.VIEWS`.
        frames: number of images of the sticker in the request.
        labels: words that the answer must not use.
        faults: view -> what was wrong with the last answer.
    """
    keys = {view: KEYS[view] for view in views}
    return _text(
        version,
        "request",
        picture=_picture(version, frames),
        views="\n".join(_text(version, key, key=key) for key in keys.values()),
        language=language,
        labels=_text(version, "labels", labels=", ".join(labels)) + "\n" if labels else "",
        template=json.dumps(dict.fromkeys(keys.values(), "...")),
    ) + _faults(version, faults or {})


def _picture(version: str, frames: int) -> str:
    if frames == 1:
        return _text(version, "still")
    return _text(version, "animated", frames=str(frames))


def _faults(version: str, faults: Mapping[str, str]) -> str:
    if not faults:
        return ""
    lines = "\n".join(f'- "{KEYS[view]}": {fault}' for view, fault in faults.items())
    return "\n\n" + _text(version, "again", faults=lines)


def _text(version: str, name: str, **values: str) -> str:
    return _template(version, name).substitute(values)


@cache
def _template(version: str, name: str) -> Template:
    folder = resources.files("mghft_export") / "interpretation" / "prompts" / version
    return Template((folder / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n"))
