"""Views have a length, name no class, and are asked for in words that never change under one version."""

from __future__ import annotations

import hashlib
from importlib import resources

import pytest

from mghft_export.interpretation.label_leaks import find_leak
from mghft_export.interpretation.prompt import PROMPT_VERSION, write_prompt
from mghft_export.interpretation.rules import Rules, count_words
from mghft_export.stickers.datasets.labels import MET_MEME_CLASSES, SER30K_CLASSES
from mghft_export.stickers.views import VIEWS

FAMILIES = (
    ("anger", "angers", "Angry", "angrily"),
    ("DISGUST", "disgusting", "disgusted"),
    ("fear", "fearful", "fearing"),
    ("happiness", "happy", "happily", "happier"),
    ("neutral", "neutrally"),
    ("sadness", "sad", "sadly", "sadder", "saddened"),
    ("surprise", "surprised", "surprising", "surprisingly"),
)
OTHER_WORDS = (
    "danger",
    "saddle",
    "happen",
    "unlike",
    "afire",
    "feather",
    "disc",
    "surplus",
    "neutron",
    "hunger",
)


@pytest.mark.parametrize("words", [word for family in FAMILIES for word in family])
def test_names_of_classes_and_their_family_are_found(words: str) -> None:
    assert find_leak(f"The cat looks {words}, as one can see.", SER30K_CLASSES) == words


@pytest.mark.parametrize("words", OTHER_WORDS)
def test_other_words_are_not(words: str) -> None:
    assert find_leak(f"The cat with a {words}.", SER30K_CLASSES) is None


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("angry", "anger angrily unangered"),
        ("angered", "anger angry"),
        ("surprised", "surprise surprises surprising surprisingly unsurprised"),
        ("disgusted", "disgust disgusting"),
        ("fearful", "fear fears fearing fearless"),
        ("joyful", "joy joys joyous joyfully"),
        ("bored", "boredom bore boring"),
        ("boredom", "bored boring"),
        ("excitement", "excited exciting excitedly"),
        ("amusement", "amused amusing"),
        ("confusion", "confused confusing"),
        ("confused", "confusion"),
        ("worried", "worry worries"),
        ("playfulness", "playful play"),
        ("hated", "hate hatred hating"),
        ("happiness", "unhappy unhappiness unhappily"),
        ("surprise", "unsurprised"),
    ],
)
def test_families_are_found_from_any_of_their_words(label: str, words: str) -> None:
    assert [find_leak(f"it is {word} today", (label,)) for word in words.split()] == words.split()


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("sadness", "saddle crusade sadist"),
        ("fear", "feature feather feat"),
        ("fearful", "feature"),
        ("joy", "joystick enjoin"),
        ("disgust", "discuss gust disc"),
        ("anger", "danger stranger ranger"),
        ("happiness", "happen happening mishap"),
        ("surprise", "surplus enterprise"),
        ("hated", "hat hats"),
        ("scared", "scar scars scarf"),
        ("caring", "car cars card"),
        ("passion", "pass passes"),
        ("compassion", "compass"),
        ("bored", "borough bordered"),
    ],
)
def test_innocent_words_that_look_alike_are_not(label: str, words: str) -> None:
    assert [find_leak(f"it is {word} today", (label,)) for word in words.split()] == [None] * len(
        words.split()
    )


def test_names_are_found_in_scripts_without_spaces_and_with_particles() -> None:
    assert find_leak("고양이가 슬픔을 느낀다", ("슬픔",)) == "슬픔"
    assert find_leak("고양이가 분노슬픔 느낀다", ("슬픔",)) is None
    assert find_leak("猫がとても怒りを見せる", ("怒り",)) == "怒り"
    assert find_leak("แมวโกรธมาก", ("โกรธ",)) == "โกรธ"


def test_classes_of_other_data_sets() -> None:
    assert find_leak("it looks lovely", MET_MEME_CLASSES) == "lovely"
    assert find_leak("it wears gloves", MET_MEME_CLASSES) is None
    assert find_leak("with Mixed  feelings", ("mixed feelings",)) == "Mixed  feelings"
    assert find_leak("它看起来很愤怒", ("愤怒",)) == "愤怒"
    assert find_leak("class 1 or 2", ("1", "2")) is None
    assert find_leak("anything", ()) is None


def test_lengths_are_8_to_80_words() -> None:
    rules = Rules()
    assert "7 words" in (rules.fault("w " * 7) or "")
    assert rules.fault("w " * 8) is None
    assert rules.fault("w " * 80) is None
    assert "81 words" in (rules.fault("w " * 81) or "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a cat - it waves!", 4),
        ("고양이가 손을 흔들며 웃고 있다", 5),
        ("一只猫在挥手，很开心", 5),
        ("猫が手を振って笑っている", 6),
        ("一只 cute 猫 in 3D", 5),
        ("แมวสีเทาตัวเล็กกำลังโบกมือ", 7),
        ("\uf900\uf901\uf902\uf903", 2),
        ("", 0),
    ],
)
def test_words_are_counted_in_scripts_with_and_without_spaces(text: str, words: int) -> None:
    assert count_words(text) == words


def test_leak_is_a_fault_unless_labels_are_allowed() -> None:
    view = "It is a very angry cat that hits the table with its paw."
    assert "angry" in (Rules().fault(view) or "")
    assert Rules(labels=()).fault(view) is None


def test_prompt_asks_for_the_views_in_the_language_without_the_labels() -> None:
    prompt = write_prompt(VIEWS, frames=1, language="German", labels=("joy", "envy"))
    assert "German" in prompt
    assert "joy, envy" in prompt
    assert '{"intention": "...", "style": "...", "main_role": "...", "gesture": "..."}' in prompt
    assert "$" not in prompt


def test_prompt_asks_for_lettering_but_not_where_it_names_a_class() -> None:
    exception = "Do not quote lettering that has one of them"
    assert exception in write_prompt(VIEWS, frames=1, language="English", labels=("joy",))
    assert exception not in write_prompt(VIEWS, frames=1, language="English")


def test_prompt_for_what_is_missing_says_why_and_asks_for_nothing_else() -> None:
    prompt = write_prompt(("style",), frames=1, language="English", faults={"style": "it was missing"})
    assert '{"style": "..."}' in prompt
    assert "gesture" not in prompt
    assert '"style": it was missing' in prompt
    assert "Never use" not in prompt


def test_prompt_says_that_frames_are_one_animation() -> None:
    assert "3 images are frames" in write_prompt(VIEWS, frames=3, language="English")


def test_texts_of_a_prompt_version_never_change() -> None:
    """Journals keep the version only. Other words are another version, with a folder and a line of its own here."""
    folder = resources.files("mghft_export") / "interpretation" / "prompts"
    known = {"1": "d99f41f89dd8e08d5c5d4ebc3adbec1e2a48ccdd3831c57258740e2cb3ee41b7"}
    assert {item.name for item in folder.iterdir()} == set(known)
    assert PROMPT_VERSION in known
    for version, digest in known.items():
        files = sorted((folder / version).iterdir(), key=lambda file: file.name)
        content = "".join(f"{file.name}\0{file.read_text(encoding='utf-8')}\0" for file in files)
        assert hashlib.sha256(content.encode()).hexdigest() == digest
