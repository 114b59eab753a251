"""Token ids are those of transformers' BertTokenizer, whatever limits a tokenizer's file asks for."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from mghft_export.errors import MGHFTError, StickerError
from mghft_export.stickers.text_tokens import default_tokenizer_path, encode, load_tokenizer

CLS, SEP = 101, 102

FRAGMENTS = [
    "#The sticker's intention:", "a CAT waves", "café naïve Ångström", "ﬁancé", "the sticker’s style —",
    "😀😂🥺", "👩\u200d👩\u200d👧", "❤\ufe0f", "🇩🇪", "你好，世界！", "表情包", "ありがとう", "カワイイ", "고마워요",
    "Привет, мир", "ёжик", "Ελληνικά", "שלום", "مرحبا بالعالم", "नमस्ते", "สวัสดี", "İstanbul ıI", "ß ẞ",
    "e\u0301 vs é", "x\u200by", "tab\tnew\nline", "nul\x00\ufffd", "\u00a0\u3000", "[MASK] [SEP] [pad]", "don't",
    "3.14 × 10²", "http://a.b/c?d=e_f", "a" * 120, "antidisestablishmentarianism", "¯\\_(ツ)_/¯",
    "(╯°□°)╯︵ ┻━┻", "!!!???", "𝓢𝓽𝓲𝓬𝓴𝓮𝓻", "Ⅷ ½", "ǅ",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(default_tokenizer_path())


@pytest.fixture
def vocabulary(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """BERT-base-uncased's vocab.txt."""
    ids = tokenizer.get_vocab()
    (tmp_path / "vocab.txt").write_text(
        "".join(f"{token}\n" for token in sorted(ids, key=ids.__getitem__)), "utf-8"
    )
    return tmp_path / "vocab.txt"


def strings() -> list[str]:
    """The fragments, and two hundred mixtures of them, some longer than a text may be."""
    chance = random.Random(0)
    mixtures = [" ".join(chance.choices(FRAGMENTS, k=chance.choice([2, 5, 20]))) for _ in range(200)]
    return ["", " ", *FRAGMENTS, *mixtures]


@pytest.mark.parametrize("source", ["tokenizer.json", "vocab.txt"])
def test_ids_and_masks_are_those_of_transformers(tokenizer: Tokenizer, vocabulary: Path, source: str) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.BertTokenizerFast.from_pretrained(vocabulary.parent)
    ours = tokenizer if source == "tokenizer.json" else load_tokenizer(vocabulary)
    texts = strings()
    expected = theirs(texts, truncation=True, padding="max_length", max_length=48, return_tensors="np")
    batch = encode(ours, texts, max_length=48, pad_to=48)
    np.testing.assert_array_equal(batch.input_ids, expected["input_ids"])
    np.testing.assert_array_equal(batch.attention_mask, expected["attention_mask"])
    lengths = batch.attention_mask.sum(axis=1)
    assert lengths.min() == 2
    assert (lengths == 48).sum() > 20


def test_known_sentence(tokenizer: Tokenizer) -> None:
    batch = encode(tokenizer, ["Hello, world!"], max_length=512)
    assert batch.input_ids.tolist() == [[CLS, 7592, 1010, 2088, 999, SEP]]
    assert batch.input_ids.dtype == batch.attention_mask.dtype == np.int64


def test_rows_are_padded_to_the_longest(tokenizer: Tokenizer) -> None:
    batch = encode(tokenizer, ["cat", "cat cat cat"], max_length=512)
    cat = 4937
    assert batch.input_ids.tolist() == [[CLS, cat, SEP, 0, 0], [CLS, cat, cat, cat, SEP]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]


def test_rows_are_padded_to_a_given_length(tokenizer: Tokenizer) -> None:
    batch = encode(tokenizer, ["cat"], max_length=16, pad_to=32)
    assert batch.input_ids.shape == batch.attention_mask.shape == (1, 32)
    assert batch.attention_mask.sum() == 3


def test_long_text_is_cut_before_its_sep(tokenizer: Tokenizer) -> None:
    ids = encode(tokenizer, ["cat " * 9 + "dog"], max_length=5).input_ids[0]
    assert ids.tolist() == [CLS, 4937, 4937, 4937, SEP]


def test_limits_in_a_tokenizers_file_are_overridden(tmp_path: Path, tokenizer: Tokenizer) -> None:
    limited = Tokenizer.from_str(tokenizer.to_str())
    limited.enable_truncation(4)
    limited.enable_padding(length=64)
    limited.save(str(tmp_path / "tokenizer.json"))
    expected = encode(tokenizer, ["cat " * 20], max_length=512).input_ids
    for ours in (load_tokenizer(tmp_path), Tokenizer.from_file(str(tmp_path / "tokenizer.json"))):
        np.testing.assert_array_equal(encode(ours, ["cat " * 20], max_length=512).input_ids, expected)


def test_folder_may_hold_either_file_and_the_json_goes_first(vocabulary: Path, tokenizer: Tokenizer) -> None:
    assert load_tokenizer(vocabulary.parent).get_vocab() == tokenizer.get_vocab()
    (vocabulary.parent / "tokenizer.json").write_text("{}")
    with pytest.raises(MGHFTError, match=r"tokenizer\.json"):
        load_tokenizer(vocabulary.parent)


def test_package_brings_a_tokenizer_without_limits() -> None:
    data = json.loads(default_tokenizer_path().read_text("utf-8"))
    assert data["truncation"] is data["padding"] is None
    assert len(data["model"]["vocab"]) == 30522


@pytest.mark.parametrize("name", ["no.json", "no.txt", "."])
def test_missing_tokenizer_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MGHFTError, match="there is no tokenizer"):
        load_tokenizer(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", b"{"),
        ("vocab.txt", b"[PAD]\n[UNK]\ncat\n"),
        ("vocab.txt", b"\xff\xfe"),
        ("vocab.txt", b""),
    ],
)
def test_damaged_tokenizer_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MGHFTError, match="cannot read the tokenizer"):
        load_tokenizer(tmp_path)


def test_vocabulary_whose_padding_is_not_0_is_refused(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[UNK]\n[PAD]\n[CLS]\n[SEP]\n")
    with pytest.raises(MGHFTError, match="not a BERT tokenizer"):
        load_tokenizer(tmp_path)


def test_tokenizer_without_cls_and_sep_is_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    data = json.loads(tokenizer.to_str())
    data["post_processor"] = None
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    with pytest.raises(MGHFTError, match="not a BERT tokenizer"):
        load_tokenizer(tmp_path)


def test_no_texts_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(StickerError, match="no texts"):
        encode(tokenizer, [], max_length=8)


def test_half_a_character_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(StickerError, match="half a character"):
        encode(tokenizer, ["cat", "smile \ud83d"], max_length=8)


def test_lengths_that_do_not_fit_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(MGHFTError, match="no room"):
        encode(tokenizer, ["cat"], max_length=2)
    with pytest.raises(MGHFTError, match="cannot pad 8 tokens to 4"):
        encode(tokenizer, ["cat"], max_length=8, pad_to=4)
