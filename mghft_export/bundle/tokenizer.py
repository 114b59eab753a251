"""The tokenizer in a bundle."""

from __future__ import annotations

from tokenizers import Tokenizer

from mghft_export.bundle import Bundle
from mghft_export.stickers.text_tokens import parse_tokenizer


def bundle_tokenizer(bundle: Bundle) -> Tokenizer:
    """A bundle's tokenizer.

    Raises:
        BundleError: the file is missing or was changed.
        MGHFTError: it is not a BERT tokenizer.
    """
    entry = bundle.manifest.tokenizer
    return parse_tokenizer(bundle.read(entry), bundle.root / entry.path)
