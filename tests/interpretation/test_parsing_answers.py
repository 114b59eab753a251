"""Whatever form a model's answer takes, its views are found; and the text made of them comes apart again."""

from __future__ import annotations

import itertools
import time

import pytest

from mghft_export.errors import StickerError
from mghft_export.interpretation.answer import json_schema, parse_answer
from mghft_export.stickers.views import VIEWS, Views, join_views, split_views, view_body

PLAIN = {"intention": "to greet a friend", "style": "flat", "main role": "a grey cat", "gesture": "waves"}


@pytest.mark.parametrize(
    "answer",
    [
        '{"intention": "to greet a friend", "style": "flat", "main_role": "a grey cat", "gesture": "waves"}',
        'Sure!\n```json\n{"intention": "to greet a friend", "style": "flat",\n'
        '"main_role": "a grey cat", "gesture": "waves",}\n```\nI hope that helps.',
        "{'Intention': 'to greet a friend', 'Style': 'flat', 'mainRole': 'a grey cat', 'Gesture': 'waves'}",
        '{"intention": "to greet a friend", "style": "flat", "main role": "a grey cat", "gesture": "waves',
        '{"views": {"intention": ["to greet a friend"], "style": "flat", '
        '"The sticker\'s main role": "a grey cat", "gesture and expression": "waves"}}',
        '[{"view": "intention", "text": "to greet a friend"}, {"view": "style", "text": "flat"}, '
        '{"view": "main role", "text": "a grey cat"}, {"view": "gesture", "text": "waves"}]',
        '<think>It may be {"style": "a photograph"}.</think>{"intention": "to greet a friend", "style": "flat", '
        '"main_role": "a grey cat", "gesture": "waves"}',
        "Intention: to greet a friend\nStyle: flat\nMain role: a grey cat\nGesture: waves",
        "**Intention:** to greet a friend\n\n**Style** - flat\n\n### Main role\n\na grey cat\n\n"
        "4. Gesture and expression: waves\n\nAnything else?",
        "#The sticker's intention is to greet a friend #The sticker's style: flat "
        "#The sticker’s main role is a grey cat #The sticker's gesture: waves",
        "The sticker's intention is to greet a friend\nThe sticker's style is flat\n"
        "The sticker's main role is a grey cat\nThe sticker's gesture is waves",
    ],
)
def test_views_are_found_in_any_form(answer: str) -> None:
    assert parse_answer(answer, VIEWS) == PLAIN


@pytest.mark.parametrize(
    "answer",
    ["", "I cannot describe this picture.", "[1, 2", "{", '{"intention": 3, "style": "..."}', "null"],
)
def test_what_is_no_description_gives_no_view(answer: str) -> None:
    assert parse_answer(answer, VIEWS) == {}


def test_a_refusal_is_no_view_even_where_one_view_was_asked_for() -> None:
    assert parse_answer("I am sorry, but I cannot help with describing this picture.", ("style",)) == {}


def test_views_that_were_not_asked_for_are_left_out() -> None:
    assert parse_answer('{"style": "flat", "gesture": "waves"}', ("style",)) == {"style": "flat"}


def test_of_a_draft_and_an_answer_the_answer_counts() -> None:
    assert parse_answer('{"style": "a photograph"} No, rather: {"style": "flat"}', VIEWS) == {"style": "flat"}


def test_line_breaks_and_markdown_go() -> None:
    assert parse_answer('{"style": "**flat**\\n  with `lines`"}', VIEWS) == {"style": "flat with lines"}


def test_an_endless_answer_is_read_in_bounded_time() -> None:
    assert "style" in parse_answer('{"style": "' + "very " * 100_000, VIEWS)


@pytest.mark.parametrize(
    "answer", ["x" + "\n" * 19_990 + "y", "style/" + "_" * 19_900 + "!", "style" + "*" * 19_900 + "!"]
)
def test_long_runs_of_one_sign_are_read_quickly(answer: str) -> None:
    started = time.monotonic()
    assert parse_answer(answer, VIEWS) == {}
    assert time.monotonic() - started < 2


def test_half_an_emoji_is_left_out() -> None:
    assert parse_answer('{"style": "flat \\ud83d, \\ud83d\\ude00"}', VIEWS) == {"style": "flat , 😀"}


@pytest.mark.parametrize(
    ("answer", "view"),
    [
        ('A round cat says "GOOD NIGHT"', 'A round cat says "GOOD NIGHT"'),
        ('"HELLO" and "BYE"', '"HELLO" and "BYE"'),
        ("“HELLO” and “BYE”", "“HELLO” and “BYE”"),
        ('"A round cat",', "A round cat"),
        ("“A round cat”", "A round cat"),
        ("'A round cat'", "A round cat"),
        ("It's a cat's", "It's a cat's"),
    ],
)
def test_only_quotes_around_the_whole_go(answer: str, view: str) -> None:
    assert parse_answer(f"Style: {answer}", VIEWS) == {"style": view}


def test_schema_demands_the_views_and_nothing_else() -> None:
    schema = json_schema(("style", "main role"))
    assert schema["required"] == ["style", "main_role"]
    assert schema["additionalProperties"] is False


VIEWS_OF_A_CAT: Views = ("to greet: a friend", "flat, 3 colours", "a cat called #1", "waves; smiles")


@pytest.mark.parametrize(
    "views",
    [
        VIEWS_OF_A_CAT,
        ("#The sticker's style is what counts", "#", "the # sign", "- a dash first"),
        ("a #the  STICKER’S gesture b", "##The sticker's style", "c", "d #The sticker's intention"),
    ],
)
def test_joined_views_come_apart_again(views: Views) -> None:
    text = join_views(views)
    split = split_views(text)
    assert split.missing == ()
    assert " ".join(split.views) == text
    for view, words in zip(VIEWS, split.views, strict=True):
        assert words.startswith(f"#The sticker's {view}: ")
        assert words.count("#The sticker's") == 1


def test_joined_views_keep_their_words() -> None:
    assert tuple(map(view_body, split_views(join_views(VIEWS_OF_A_CAT)).views)) == VIEWS_OF_A_CAT


def test_an_empty_view_is_refused() -> None:
    for position in range(4):
        views: Views = tuple(" " if number == position else "x" for number in range(4))  # type: ignore[assignment]
        with pytest.raises(StickerError, match=VIEWS[position]):
            join_views(views)


def test_body_of_released_texts_is_what_stands_behind_the_marker() -> None:
    assert view_body("#The sticker's main role is a cat.") == "is a cat."
    assert view_body("no marker") == "no marker"


def test_views_are_found_in_every_order_of_headings() -> None:
    for order in itertools.permutations(VIEWS):
        answer = "\n".join(f"{view.title()}: {PLAIN[view]}" for view in order)
        assert parse_answer(answer, VIEWS) == PLAIN
