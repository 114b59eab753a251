"""One self-contained HTML file with the stickers that two models classify differently."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

from PIL import Image

from mghft_export.evaluation.comparison import Comparison, Flip, Guess
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.sticker_choice import image_name

THUMBNAIL = 192
"""Longest side of an image in pixels: 96 points on a screen with two pixels per point."""

MOST_FLIPS = 500
"""Most flips on one page, about 3 MB; the file of predictions has all."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #5f6368; --page: #f6f6f7; --card: #fff; --line: #d8d8dc;
  --right: #12703a; --wrong: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececee; --soft: #a4a7ad; --page: #161618; --card: #222225;
  --line: #3a3a3e; --right: #6fd195; --wrong: #ff8f86; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--page); color: var(--ink);
  font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; margin: 0 0 .5rem; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
.soft, summary { color: var(--soft); }
.cards { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr)); }
article { display: grid; grid-template-columns: 6rem 1fr; gap: .75rem; padding: .75rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; align-items: start; }
img { width: 6rem; height: 6rem; object-fit: contain; border-radius: .4rem; background: #fff; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .6rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; }
.right { color: var(--right); }
.wrong { color: var(--wrong); }
details, .name { grid-column: 1 / -1; font-size: .875rem; margin: 0; }
"""


def flips_page(
    comparison: Comparison, first: str, other: str, data: str, *, root: Path, background: str = "white"
) -> str:
    """The page as HTML.

    Args:
        first: the first model's name.
        other: the other model's name.
        data: the data that both were run on, for the heading.
        root: the data set's folder; names of images are relative to it.
        background: colour behind transparent stickers.

    Raises:
        StickerError: an image can no longer be read.
    """
    shown = comparison.flips[:MOST_FLIPS]
    groups = {
        "Only A is right": [flip for flip in shown if flip.first.right],
        "Only B is right": [flip for flip in shown if flip.other.right],
        "Both are wrong": [flip for flip in shown if not (flip.first.right or flip.other.right)],
    }
    parts = [
        "<h1>Stickers that flipped</h1>",
        f"<p>A: {escape(first)}<br>B: {escape(other)}<br><span class=soft>{escape(data)}</span></p>",
        f"<p>{len(comparison.flips)} of {comparison.stickers} stickers flipped "
        f"(agreement {comparison.agreement:.1%}). Only A is right: {comparison.only_first_right}; "
        f"only B: {comparison.only_other_right}; McNemar's exact p: {comparison.mcnemar_p:.3g}.</p>",
    ]
    if len(shown) < len(comparison.flips):
        parts.append(f"<p class=soft>The first {len(shown)} are shown.</p>")
    for heading, flips in groups.items():
        if flips:
            cards = "\n".join(_card(flip, root, background) for flip in flips)
            parts.append(f"<h2>{heading}: {len(flips)}</h2>\n<div class=cards>\n{cards}\n</div>")
    return (
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Stickers that flipped</title>\n"
        '<meta name=viewport content="width=device-width, initial-scale=1">\n'
        # Even if the escaping failed, no script would run and nothing would be fetched.
        "<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</html>\n"
    )


def _card(flip: Flip, root: Path, background: str) -> str:
    name = image_name(flip.sticker.image, root)
    image = thumbnail(flip.sticker.image, background)
    return (
        f'<article><img alt="{escape(name)}" src="{image}" loading=lazy>\n'
        f"<dl><dt>label<dd>{escape(flip.label)}<dt>A<dd>{_guess(flip.first)}<dt>B<dd>{_guess(flip.other)}</dl>\n"
        f"<p class='name soft'>{escape(name)}</p>\n"
        f"<details><summary>text</summary>{escape(flip.sticker.text)}</details></article>"
    )


def _guess(guess: Guess) -> str:
    mark, kind = ("✓", "right") if guess.right else ("✗", "wrong")
    return f"<span class={kind}>{mark} {escape(guess.name)}</span> {guess.confidence:.0%}"


def thumbnail(path: Path, background: str = "white") -> str:
    """A small JPEG of a sticker as a data URI.

    Raises:
        StickerError: the image cannot be read.
    """
    image = open_sticker(path, background=background)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")
