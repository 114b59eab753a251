"""Token ids and views are those of `tokenizers` and Python, for texts in many scripts."""

from __future__ import annotations

import json
import random

import pytest
from cpp.conftest import call
from tokenizers import Tokenizer, models

from mghft_export.stickers.text_tokens import default_tokenizer_path, load_tokenizer
from mghft_export.stickers.views import split_views

STRINGS = 10_000

SCRIPTS = (
    *((0x20, 0x7F), (0xA0, 0x180), (0x180, 0x250), (0x300, 0x370), (0x370, 0x400), (0x400, 0x530)),
    *((0x530, 0x590), (0x590, 0x600), (0x600, 0x700), (0x700, 0x8A0), (0x8A0, 0x900), (0x900, 0xE00)),
    *((0xE00, 0x1100), (0x1100, 0x1200), (0x1200, 0x1400), (0x1680, 0x1800), (0x1800, 0x1900)),
    *((0x1A00, 0x1D00), (0x1D00, 0x1E00), (0x1E00, 0x2000), (0x2000, 0x2070), (0x20A0, 0x2100)),
    *((0x2100, 0x2C00), (0x2C00, 0x2E80), (0x2E00, 0x2E60), (0x3000, 0x3100), (0x3400, 0x3500)),
    *((0x4E00, 0x5000), (0xA640, 0xA800), (0xAC00, 0xAD00), (0xE000, 0xE010), (0xF900, 0xFB00)),
    *((0xFB00, 0xFE00), (0xFE00, 0x10000), (0x10000, 0x11000), (0x11000, 0x12000), (0x1D100, 0x1D200)),
    *((0x1D400, 0x1D500), (0x1E900, 0x1EF00), (0x1F300, 0x1FB00), (0x20000, 0x20010), (0x2F800, 0x2FA20)),
    *((0xE0000, 0xE0100), (0x00, 0x20), (0x7F, 0xA0), (0x10FFF0, 0x110000)),
)
"""Blocks of every script that BERT's vocabulary has, and others; marks, controls, private use, unassigned."""

WORDS = (
    "The",
    "sticker's",
    "naïve",
    "Ünïcödé",
    "İSTANBUL",
    "ΣΊΣΥΦΟΣ",
    "straße",
    "#1!",
    "[MASK]",
    "[CLS",
    "##ing",
    "…",
)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = random.Random(0)
    found = ["", " ", "[SEP]", "a" * 101, "é" * 100, "\u1100\u1161\u11a8", "e\u0315\u0300\u0301", "\ufffd\0x"]
    while len(found) < STRINGS:
        pieces = []
        for _ in range(rng.randrange(1, 6)):
            first, last = rng.choice(SCRIPTS)
            characters = (chr(rng.randrange(first, last)) for _ in range(rng.randrange(1, 9)))
            pieces.append("".join(characters) if rng.random() < 0.8 else rng.choice(WORDS))
        found.append(rng.choice(("", " ")).join(pieces))
    return found


def cpp_ids(programs, tokenizer, texts: list[str], most: int) -> list[list[int]]:
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    found = call(programs.probe, "tokens", tokenizer, most, input=lines)
    return [[int(word) for word in line.split()] for line in found.stdout.splitlines()]


def test_token_ids_are_those_of_tokenizers(programs, texts):
    tokenizer = load_tokenizer(default_tokenizer_path())
    found = cpp_ids(programs, default_tokenizer_path(), texts, 10_000)
    expected = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    wrong = [(text, a, b) for text, a, b in zip(texts, found, expected, strict=True) if a != b]
    assert not wrong, (len(wrong), wrong[:3])


def test_every_character_is_normalised_as_tokenizers_does(programs, texts, tmp_path):
    """BERT's vocabulary makes one [UNK] of most scripts; a token for each character shows every difference."""
    bert = json.loads(default_tokenizer_path().read_text(encoding="utf-8"))
    tokenizer = load_tokenizer(default_tokenizer_path())
    words = [
        word
        for text in texts
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
    ]
    characters = sorted(set("".join(words)))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = dict.fromkeys([*special, *characters, *(f"##{character}" for character in characters)])
    vocabulary = {token: index for index, token in enumerate(tokens)}
    bert["model"]["vocab"] = vocabulary
    for token in bert["added_tokens"]:
        token["id"] = vocabulary[token["content"]]
    for token in ("[CLS]", "[SEP]"):
        bert["post_processor"]["special_tokens"][token]["ids"] = [vocabulary[token]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(bert), encoding="utf-8")
    exact = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert isinstance(exact.model, models.WordPiece)
    found = cpp_ids(programs, tmp_path / "tokenizer.json", texts, 10_000)
    expected = [encoding.ids for encoding in exact.encode_batch(texts)]
    wrong = [(text, a, b) for text, a, b in zip(texts, found, expected, strict=True) if a != b]
    assert not wrong, (len(wrong), wrong[:3])
    assert len(characters) > 4000


def test_long_texts_lose_their_end(programs, texts):
    tokenizer = load_tokenizer(default_tokenizer_path())
    expected = [encoding.ids for encoding in tokenizer.encode_batch(texts[:500])]
    expected = [ids if len(ids) <= 9 else [*ids[:8], ids[-1]] for ids in expected]
    assert cpp_ids(programs, default_tokenizer_path(), texts[:500], 9) == expected


def test_views_are_pythons(programs):
    rng = random.Random(1)
    parts = (
        *(
            "#The sticker's intention",
            "# the STICKER’s style",
            "#THE sticker ` s main\u3000role",
            "#The sticker's gesture",
        ),
        *(
            "#The sticker's gestures",
            "#The ſticKer's style",
            "#the\tsticker 's main role_",
            "#The sticker's stylé",
        ),
        *("is a cat", "  ", "\u00a0", "é😀", "#", "\x1f", "intention", "The sticker's style"),
    )
    texts = ["".join(rng.choice(parts) for _ in range(rng.randrange(1, 9))) + "." for _ in range(3000)]
    found = call(programs.probe, "views", input="".join(json.dumps(text) + "\n" for text in texts))
    expected = [list(split_views(text).views) for text in texts]
    assert [json.loads(line) for line in found.stdout.splitlines()] == expected
