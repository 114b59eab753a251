"""A text is cut at its markers, as the specification says, and never loses a word that a marker claimed."""

import pytest

from mghft_export.errors import StickerError
from mghft_export.stickers.views import VIEWS, split_views, view_texts

INTENTION = "#The sticker's intention: to say hello."
STYLE = "#The sticker's style: flat colours."
MAIN_ROLE = "#The sticker's main role: a cat."
GESTURE = "#The sticker's gesture: waving, smiling."
TEXT = "\n".join([INTENTION, STYLE, MAIN_ROLE, GESTURE])


def test_view_runs_from_its_marker_to_the_next() -> None:
    split = split_views(TEXT)
    assert split.whole == TEXT
    assert split.views == (INTENTION, STYLE, MAIN_ROLE, GESTURE)
    assert split.missing == ()


def test_views_come_in_the_stages_order_whatever_the_texts_order() -> None:
    assert split_views("\n".join([GESTURE, STYLE, INTENTION, MAIN_ROLE])).views == split_views(TEXT).views


@pytest.mark.parametrize(
    "marker",
    [
        "#the STICKER'S Main Role",
        "#The sticker’s main role",
        "#The  sticker's\nmain\u00a0 role",
        "# The sticker 's main role",
    ],
)
def test_marker_is_known_in_any_case_spacing_and_apostrophe(marker: str) -> None:
    split = split_views(f"{INTENTION} {marker}: a cat.")
    assert split.views[VIEWS.index("main role")] == f"{marker}: a cat."
    assert split.views[VIEWS.index("intention")] == INTENTION


@pytest.mark.parametrize(
    "words", ["The sticker's style is flat", "#The sticker's styles", "#The stickers style"]
)
def test_words_that_only_look_like_a_marker_cut_nothing(words: str) -> None:
    text = f"{INTENTION} {words}."
    split = split_views(text)
    assert split.views[0] == text
    assert "style" in split.missing


def test_missing_view_takes_the_whole_text() -> None:
    text = f"{INTENTION} {GESTURE}"
    split = split_views(text)
    assert split.views == (INTENTION, text, text, GESTURE)
    assert split.missing == ("style", "main role")


def test_text_without_markers_is_every_view() -> None:
    split = split_views("a cat waves")
    assert split.views == ("a cat waves",) * 4
    assert split.missing == VIEWS


def test_what_precedes_the_first_marker_belongs_to_no_view() -> None:
    split = split_views(f"Here is my answer. {TEXT}")
    assert split.views == split_views(TEXT).views
    assert split.whole.startswith("Here")


def test_repeated_marker_is_ordinary_text_of_the_view_it_stands_in() -> None:
    split = split_views(f"{INTENTION} {STYLE} {INTENTION} {GESTURE}")
    assert split.views[0] == INTENTION
    assert split.views[1] == f"{STYLE} {INTENTION}"
    assert split.views[3] == GESTURE


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_empty_text_is_refused(text: str) -> None:
    with pytest.raises(StickerError, match="empty"):
        split_views(text)
    with pytest.raises(StickerError, match="empty"):
        view_texts(text, "joined")


def test_joined_views_are_the_whole_text_four_times() -> None:
    assert view_texts(TEXT, "joined") == (TEXT,) * 4


def test_separate_views_are_the_four_views() -> None:
    assert view_texts(TEXT, "separate") == (INTENTION, STYLE, MAIN_ROLE, GESTURE)
