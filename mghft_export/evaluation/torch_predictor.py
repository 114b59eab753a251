"""A checkpoint in PyTorch, in its fused form. It is the reference for a bundle."""

from __future__ import annotations

from pathlib import Path

from mghft_export.bundle.model_inputs import ModelInputs, fitting_tokenizer, image_entry, text_entry
from mghft_export.errors import CheckpointError, MGHFTError
from mghft_export.evaluation.predictors import Predictor, pipeline_predictor
from mghft_export.fused.mghft import fuse
from mghft_export.model.checkpoint import build_model, load_checkpoint
from mghft_export.model.checkpoint_choice import CHECKPOINTS_WORD, TextChoice
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.runtime.text_cache import TextCache
from mghft_export.runtime.torch_session import torch_branches
from mghft_export.stickers.text_tokens import default_tokenizer_path


def checkpoint_predictor(
    path: Path, *, device: str = "cpu", tokenizer: Path | None = None, text: TextChoice = CHECKPOINTS_WORD
) -> Predictor:
    """Open a checkpoint for evaluation.

    Args:
        device: `cpu` or `cuda`.
        tokenizer: the checkpoint's tokenizer; BERT-base-uncased's by default.
        text: where the checkpoint's text weights are; by default the checkpoint says.

    Raises:
        CheckpointError: the checkpoint cannot be read, or the tokenizer is not the one it was trained with.
        MGHFTError: PyTorch does not have the device on this machine.
    """
    if device not in ("cpu", "cuda"):
        raise MGHFTError(f"{path} is a checkpoint and cannot run with {device}; use --provider cpu or cuda")
    checkpoint = load_checkpoint(path, text=text)
    config = checkpoint.config
    words = fitting_tokenizer(tokenizer or default_tokenizer_path(), config, CheckpointError)
    model = build_model(checkpoint)
    branches = torch_branches(fuse(model), device="cuda" if device == "cuda" else "cpu")
    no_text = None if model.no_text is None else model.no_text.detach().float().cpu().numpy()[0]
    inputs = ModelInputs(
        checkpoint.class_names, image_entry(config), text_entry(config), words, str(path), no_text
    )
    # No text cache, so that the measurement includes the text branch.
    pipeline = Pipeline.of_model(inputs, branches, texts=TextCache(0))
    return pipeline_predictor(pipeline, f"{path.name} (PyTorch, {device})", trained=True)
