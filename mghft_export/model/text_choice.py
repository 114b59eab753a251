"""What a user says of a checkpoint's text weights, which the checkpoint alone may not decide."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TextChoice:
    """The user's word."""

    place: str | None = None
    """`minilm`, a folder, a `.safetensors` file or `hf://owner/name`; None for what the checkpoint says."""
    allow_hub: bool = False
    """Whether the checkpoint may name a file on the Hugging Face hub."""


CHECKPOINTS_WORD = TextChoice()
"""The user says nothing."""
