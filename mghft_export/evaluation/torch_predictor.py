"""A checkpoint in PyTorch, fused: the reference that a bundle is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from mghft_export.errors import CheckpointError, MGHFTError
from mghft_export.evaluation.predictors import Predictor
from mghft_export.fused.mghft import fuse
from mghft_export.model.checkpoint import build_model, load_checkpoint
from mghft_export.model.checkpoint_choice import CHECKPOINTS_WORD, TextChoice
from mghft_export.runtime.pipeline import FloatArray
from mghft_export.stickers.preprocess import ImagePreprocessing, preprocess_batch
from mghft_export.stickers.tokens import default_tokenizer_path, encode, load_tokenizer, padded_length
from mghft_export.stickers.views import view_texts


def checkpoint_predictor(
    path: Path, *, device: str = "cpu", tokenizer: Path | None = None, text: TextChoice = CHECKPOINTS_WORD
) -> Predictor:
    """A checkpoint ready to be evaluated.

    Args:
        device: `cpu` or `cuda`.
        tokenizer: BERT-base-uncased's by default.
        text: what the user says of the checkpoint's text weights.

    Raises:
        CheckpointError: the checkpoint cannot be read, or the tokenizer is not the one it was trained with.
        MGHFTError: PyTorch has no such device on this machine.
    """
    if device not in ("cpu", "cuda"):
        raise MGHFTError(f"{path} is a checkpoint and cannot run with {device}; use --provider cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise MGHFTError("PyTorch finds no CUDA device on this machine; use --provider cpu")
    checkpoint = load_checkpoint(path, text=text)
    config = checkpoint.config
    words = load_tokenizer(tokenizer or default_tokenizer_path())
    if words.get_vocab_size() > config.text_encoder["vocab_size"]:
        raise CheckpointError(
            f"the tokenizer has {words.get_vocab_size()} tokens, the text encoder's table "
            f"{config.text_encoder['vocab_size']}; pass the tokenizer it was trained with (--tokenizer)"
        )
    model = fuse(build_model(checkpoint)).to(device)
    preprocessing = ImagePreprocessing(*config.image_size)
    # Where padding is pooled it is part of the feature, so every text is padded to the length of training.
    pad_to = padded_length(config.pooling, config.text_length)

    @torch.inference_mode()
    def logits(images: Sequence[Image.Image], texts: Sequence[str]) -> FloatArray:
        rows = [row for text in texts for row in view_texts(text, config.views)[: model.distinct_views]]
        tokens = encode(words, rows, max_length=config.text_length, pad_to=pad_to)
        shape = len(texts), model.distinct_views, -1
        result: FloatArray = (
            model(
                torch.from_numpy(preprocess_batch(images, preprocessing)).to(device),
                torch.from_numpy(tokens.input_ids).reshape(shape).to(device),
                torch.from_numpy(tokens.attention_mask).reshape(shape).to(device),
            )
            .float()
            .cpu()
            .numpy()
        )
        return result

    return Predictor(f"{path.name} (PyTorch, {device})", checkpoint.class_names, True, "white", logits)
