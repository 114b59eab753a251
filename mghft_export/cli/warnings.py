"""What commands that use a precision say of it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from mghft_export.bundle import Manifest
from mghft_export.verification.warning import precision_warning


def warn_of_precision(manifest: Manifest, precision: str) -> None:
    """Say on stderr that a precision misses its budget, where the manifest knows that."""
    sentence = precision_warning(manifest, precision)
    if sentence is not None:
        Console(stderr=True, soft_wrap=True).print(Text.assemble(("warning: ", "yellow"), sentence))
