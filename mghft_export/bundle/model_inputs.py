"""How stickers become a model's inputs: read from a bundle's manifest, or from the configuration of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from mghft_export.bundle.folder import Bundle
from mghft_export.bundle.manifest import ImageEntry, TextEntry
from mghft_export.bundle.text_features import load_features, text_branch_id
from mghft_export.bundle.tokenizer import bundle_tokenizer
from mghft_export.config import MGHFTConfig
from mghft_export.errors import MGHFTError
from mghft_export.stickers.colour import hex_colour
from mghft_export.stickers.preprocess import ImagePreprocessing
from mghft_export.stickers.text_tokens import load_tokenizer
from mghft_export.stickers.views import VIEWS


@dataclass(frozen=True)
class ModelInputs:
    """What a pipeline has to know about a model beside its branches.

    Attributes:
        text_id: names everything that a text's features depend on, except what computes them.
        no_text: text features [4, C] of a sticker without text; None if the model has learned none.
    """

    class_names: tuple[str, ...]
    image: ImageEntry
    text: TextEntry
    tokenizer: Tokenizer
    text_id: str
    no_text: npt.NDArray[np.float32] | None


def bundle_inputs(bundle: Bundle) -> ModelInputs:
    """The inputs of a bundle's model.

    Raises:
        BundleError: a file is missing or was changed.
    """
    manifest, no_text = bundle.manifest, None
    if manifest.no_text is not None:
        place = bundle.root / manifest.no_text.path
        no_text = load_features(place, bundle, bundle.read(manifest.no_text)).features[0]
    return ModelInputs(
        manifest.class_names,
        manifest.image,
        manifest.text,
        bundle_tokenizer(bundle),
        text_branch_id(bundle),
        no_text,
    )


def image_entry(config: MGHFTConfig, background: str = "white") -> ImageEntry:
    """The preprocessing that a configuration asks for.

    Args:
        background: the colour that transparent stickers are put on.
    """
    height, width = config.image_size
    spec = ImagePreprocessing(height, width)
    return ImageEntry(
        height=height,
        width=width,
        crop_fraction=spec.crop_fraction,
        mean=spec.mean,
        std=spec.std,
        background=hex_colour(background),
    )


def text_entry(config: MGHFTConfig) -> TextEntry:
    """How a configuration reads texts."""
    return TextEntry(
        views=config.views, pooling=config.pooling, max_length=config.text_length, view_names=VIEWS
    )


def fitting_tokenizer(path: Path, config: MGHFTConfig, error: type[MGHFTError]) -> Tokenizer:
    """A tokenizer whose tokens the text encoder has.

    Args:
        error: what is raised if it does not fit.

    Raises:
        MGHFTError: the tokenizer cannot be read, or has more tokens than the text encoder.
    """
    tokenizer = load_tokenizer(path)
    if tokenizer.get_vocab_size() > config.text_encoder["vocab_size"]:
        raise error(
            f"the tokenizer has {tokenizer.get_vocab_size()} tokens, the text encoder's table "
            f"{config.text_encoder['vocab_size']}; pass the tokenizer it was trained with (--tokenizer)"
        )
    return tokenizer
