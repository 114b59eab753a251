"""Turn texts into BERT's token ids, the same as those of ``transformers.BertTokenizer``, without transformers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from mghft_export.config import LEAST_TEXT_LENGTH
from mghft_export.errors import MGHFTError, StickerError
from mghft_export.files.foreign_json import parse_json

PAD_ID = 0
"""Id of `[PAD]` in BERT's vocabularies, and the padding index of the model's embedding."""

MOST_CHARACTERS = 100_000
"""Most characters of a text. Only tokens at its beginning count, and millions of characters take long to read."""

MOST_LETTERS = 1000
"""Most letters of a word that is looked up. BERT looks up words of up to 100."""

MOST_IDS = 1 << 24

BERT = {
    "normalizer": ("BertNormalizer",),
    "pre_tokenizer": ("BertPreTokenizer",),
    "model": ("WordPiece",),
    "post_processor": ("TemplateProcessing", "BertProcessing"),
}
"""The kinds that each part of a BERT tokenizer may have."""

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class TokenBatch:
    """``V`` texts of at most ``L`` tokens."""

    input_ids: npt.NDArray[np.int64]
    """``[V, L]``: ``[CLS] ... [SEP]``, then :data:`PAD_ID`."""
    attention_mask: npt.NDArray[np.int64]
    """``[V, L]``: 1 for tokens and 0 for padding."""


def default_tokenizer_path() -> Path:
    """The ``tokenizer.json`` of BERT-base-uncased that comes with the package."""
    return Path(str(resources.files("mghft_export") / "assets" / "bert-base-uncased.tokenizer.json"))


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a BERT tokenizer, without the truncation and padding that its file may ask for.

    Args:
        path: a ``tokenizer.json``, a ``vocab.txt`` (one token on each line, lower-cased) or a folder with one of them.
            If the folder has both, ``tokenizer.json`` is read.

    Raises:
        MGHFTError: the file is missing or damaged, or is not a BERT tokenizer.
    """
    file = _tokenizer_file(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise MGHFTError(f"cannot read the tokenizer {file}: {error.strerror}") from error
    return parse_tokenizer(content, file)


def parse_tokenizer(content: bytes, file: Path) -> Tokenizer:
    """The tokenizer of a file's content.

    A ``tokenizer.json`` could bring patterns that take forever on some texts. BERT's has none, so only BERT's is taken.

    Args:
        file: the file's name. With the suffix ``.json`` it is a ``tokenizer.json``, otherwise a ``vocab.txt``.

    Raises:
        MGHFTError: it is damaged, or not a BERT tokenizer.
    """
    try:
        text = content.decode("utf-8")
        if file.suffix == ".json":
            _require_bert(parse_json(text), file)
            tokenizer = Tokenizer.from_str(text)
        else:
            tokenizer = _from_vocabulary(text)
    except MGHFTError:
        raise
    except Exception as error:  # the tokenizers library raises Exception itself
        raise MGHFTError(
            f"cannot read the tokenizer {file}: {error}; save it again from transformers"
        ) from error
    _remove_limits(tokenizer)
    if tokenizer.token_to_id("[PAD]") != PAD_ID or tokenizer.encode("").tokens != ["[CLS]", "[SEP]"]:
        raise MGHFTError(
            f"{file} is not a BERT tokenizer; give the tokenizer.json or vocab.txt of the checkpoint's BERT"
        )
    return tokenizer


def padded_length(pooling: str, max_length: int) -> int | None:
    """The length that every text is padded to. If padding is pooled, features depend on it, so it is that of training.

    Returns:
        Number of tokens; None if texts may have any length.
    """
    return max_length if pooling == "all" else None


def encode(
    tokenizer: Tokenizer, texts: Sequence[str], *, max_length: int, pad_to: int | None = None
) -> TokenBatch:
    """Encode texts, one in each row.

    Args:
        max_length: most tokens of a text, including ``[CLS]`` and ``[SEP]``. A longer text loses its end.
        pad_to: the ``L`` of the result; by default the length of the longest row.

    Raises:
        StickerError: there are no texts, or one is longer than :data:`MOST_CHARACTERS` or not valid Unicode.
        MGHFTError: ``max_length`` has no room for a token, or ``pad_to`` is less than ``max_length``.
    """
    if not texts:
        raise StickerError("there are no texts to encode; give at least one")
    if max_length < LEAST_TEXT_LENGTH:
        raise MGHFTError(
            f"max_length {max_length} has no room for a token between [CLS] and [SEP]; "
            f"give {LEAST_TEXT_LENGTH} or more"
        )
    if pad_to is not None and pad_to < max_length:
        raise MGHFTError(f"cannot pad {max_length} tokens to {pad_to}; give a max_length of at most {pad_to}")
    longest = max(map(len, texts))
    if longest > MOST_CHARACTERS:
        raise StickerError(
            f"a text has {longest} characters; give at most {MOST_CHARACTERS}, of which the model reads the first"
        )
    _remove_limits(tokenizer)
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise StickerError(
            "a text has half a character (a lone surrogate); save it again as UTF-8"
        ) from error
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    rows = [ids if len(ids) <= max_length else [*ids[: max_length - 1], ids[-1]] for ids in rows]
    shape = len(rows), pad_to or max(map(len, rows))
    input_ids, attention_mask = np.full(shape, PAD_ID, np.int64), np.zeros(shape, np.int64)
    for row, ids in enumerate(rows):
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return TokenBatch(input_ids, attention_mask)


def _tokenizer_file(path: Path) -> Path:
    candidates = [path / "tokenizer.json", path / "vocab.txt"] if path.is_dir() else [path]
    for file in candidates:
        if file.is_file() and file.suffix in (".json", ".txt"):
            return file
    raise MGHFTError(
        f"there is no tokenizer at {path}; give a tokenizer.json, a vocab.txt or a folder with one"
    )


def _require_bert(values: Any, file: Path) -> None:
    """Check the kinds of a ``tokenizer.json``'s parts.

    Raises:
        MGHFTError: a part is not one of BERT's.
    """
    for part, kinds in BERT.items():
        value = values.get(part) if isinstance(values, dict) else None
        kind = value.get("type") if isinstance(value, dict) else None
        if kind not in kinds:
            raise MGHFTError(_no_bert(file, f"its {part} is not {kinds[0]}"))
    model, added = values["model"], values.get("added_tokens")
    if not _is_whole(model.get("max_input_chars_per_word"), 1, MOST_LETTERS):
        raise MGHFTError(_no_bert(file, f"its words may have more than {MOST_LETTERS} letters"))
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or model.get("unk_token") not in vocabulary:
        raise MGHFTError(_no_bert(file, "its unknown token is not in its vocabulary"))
    if not all(_is_whole(number, 0, MOST_IDS) for number in vocabulary.values()):
        raise MGHFTError(_no_bert(file, "its vocabulary has an id that is none"))
    if not isinstance(added, list) or not all(
        isinstance(item, dict) and item.get("content") for item in added
    ):
        raise MGHFTError(_no_bert(file, "it has an empty special token"))


def _no_bert(file: Path, reason: str) -> str:
    return (
        f"{file} is not a BERT tokenizer ({reason}); "
        "give the tokenizer.json or vocab.txt of the checkpoint's BERT"
    )


def _is_whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _from_vocabulary(text: str) -> Tokenizer:
    """BERT's lower-cased WordPiece, as ``transformers.BertTokenizer`` builds it from a ``vocab.txt``."""
    vocabulary = {line.rstrip("\n"): index for index, line in enumerate(io.StringIO(text, newline=None))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([token for token in SPECIAL_TOKENS if token in vocabulary])
    return tokenizer


def _remove_limits(tokenizer: Tokenizer) -> None:
    """Turn truncation and padding off. A tokenizer without them is not changed, so that threads may share it."""
    if tokenizer.truncation is not None:
        tokenizer.no_truncation()
    if tokenizer.padding is not None:
        tokenizer.no_padding()
