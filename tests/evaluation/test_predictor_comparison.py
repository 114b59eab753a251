"""Two models on the same stickers: who is right where, whether that is chance, and a page that is safe to open."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mghft_export.errors import DataError
from mghft_export.evaluation.comparison import Comparison, compare, mcnemar_p
from mghft_export.evaluation.flips_page import flips_page
from mghft_export.evaluation.predictions import Predictions, Throughput
from mghft_export.stickers.dataset import Sticker

CLASSES = ("joy", "<i>gloom</i>", "calm & quiet")
HOSTILE = "<script>alert(1)</script>\"'><img src=https://example.org/x onerror=alert(1)>"

pytest.importorskip("scipy")


def predictions(stickers: list[Sticker], predicted: list[int]) -> Predictions:
    logits = np.eye(3, dtype=np.float32)[predicted] * 2
    return Predictions(tuple(stickers), logits, (), Throughput(len(stickers), 1, 1))


@pytest.fixture
def stickers(tmp_path: Path) -> list[Sticker]:
    paths = [tmp_path / "Images" / f"{name}.png" for name in ("a", "b", "c", "d", "<b>&e")]
    paths[0].parent.mkdir()
    for path in paths:
        Image.new("RGBA", (300, 200), (200, 30, 30, 128)).save(path)
    return [Sticker(path, HOSTILE, label, "<u>") for path, label in zip(paths, [0, 0, 1, 1, 2], strict=True)]


@pytest.fixture
def comparison(stickers: list[Sticker]) -> Comparison:
    first = predictions(stickers, [0, 1, 1, 0, 2])
    other = predictions(stickers, [0, 0, 1, 2, 1])
    return compare(first, other, CLASSES)


@pytest.fixture
def page(comparison: Comparison, tmp_path: Path) -> str:
    return flips_page(comparison, "bundle <1>", "bundle 2", "data & set", root=tmp_path)


def test_stickers_are_counted_by_who_is_right(comparison: Comparison) -> None:
    assert comparison.stickers == 5
    assert (comparison.both_right, comparison.both_wrong) == (2, 1)
    assert (comparison.only_first_right, comparison.only_other_right) == (1, 1)
    assert comparison.agreement == pytest.approx(2 / 5)


def test_flips_come_lost_first_then_won_then_the_rest(comparison: Comparison) -> None:
    assert [flip.sticker.image.stem for flip in comparison.flips] == ["<b>&e", "b", "d"]
    assert [(flip.first.right, flip.other.right) for flip in comparison.flips] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    assert comparison.flips[0].first.confidence == pytest.approx(np.exp(2) / (np.exp(2) + 2))


def test_model_agrees_with_itself(stickers: list[Sticker]) -> None:
    same = predictions(stickers, [0, 1, 1, 0, 2])
    result = compare(same, same, CLASSES)
    assert (result.agreement, result.mcnemar_p, result.flips) == (1, 1, ())


def test_different_stickers_are_refused(stickers: list[Sticker]) -> None:
    with pytest.raises(DataError, match="different stickers"):
        compare(predictions(stickers, [0] * 5), predictions(stickers[1:], [0] * 4), CLASSES)


def test_mcnemar_is_the_exact_binomial_test() -> None:
    # 2 * P(X <= 1), X ~ Binomial(10, 1/2): 2 * (1 + 10) / 1024.
    assert mcnemar_p(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar_p(9, 1) == pytest.approx(22 / 1024)
    assert mcnemar_p(5, 5) == pytest.approx(1)
    assert mcnemar_p(0, 0) == 1


class Tags(HTMLParser):
    """What a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_page_shows_hostile_text_as_text(page: str) -> None:
    tags = Tags(page)
    assert not {"script", "i", "u", "b"} & {tag for tag, _ in tags.seen}
    assert not any(name.startswith("on") for _, attributes in tags.seen for name in attributes)
    for words in (HOSTILE, *CLASSES, "bundle <1>", "data & set", "Images/<b>&e.png"):
        assert words in tags.text


def test_page_needs_nothing_from_outside(page: str) -> None:
    sources = [attributes["src"] for tag, attributes in Tags(page).seen if tag == "img"]
    assert len(sources) == 3
    assert all(source and source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"<link|@import|url\(|\shref=", page)


def test_page_fits_a_phone_and_a_dark_screen(page: str) -> None:
    assert "width=device-width" in page
    assert "prefers-color-scheme: dark" in page


def test_images_are_small_and_on_the_models_background(comparison: Comparison, tmp_path: Path) -> None:
    page = flips_page(comparison, "", "", "", root=tmp_path, background="#00ff00")
    content = re.findall(r"base64,([^\"]+)", page)[0]
    image = Image.open(io.BytesIO(base64.b64decode(content)))
    assert image.size == (192, 128)
    red, green, blue = image.getpixel((90, 60))  # type: ignore[misc]
    assert (red, green, blue) == pytest.approx((100, 142, 15), abs=8)


def test_page_without_flips_says_so(stickers: list[Sticker], tmp_path: Path) -> None:
    same = predictions(stickers, [0, 1, 1, 0, 2])
    page = flips_page(compare(same, same, CLASSES), "A", "B", "set", root=tmp_path)
    assert "0 of 5 stickers flipped" in page
    assert "<img" not in page
