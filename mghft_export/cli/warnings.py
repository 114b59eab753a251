"""Warnings of commands that use a precision."""

from __future__ import annotations

from mghft_export.bundle import Manifest
from mghft_export.cli.sentences import say_note, say_warning
from mghft_export.cpu_features import cpu_flags
from mghft_export.evaluation.verification.precision_warning import (
    judgement_note,
    precision_warning,
    saturation_warning,
)
from mghft_export.terminal import Terminal


def warn_of_precision(manifest: Manifest, precision: str) -> None:
    """Warn on stderr if, by the manifest, a precision misses its budget or can overflow on this CPU."""
    for sentence in (
        precision_warning(manifest, precision),
        saturation_warning(manifest, precision, cpu_flags()),
    ):
        if sentence is not None:
            say_warning(Terminal(stderr=True), sentence)
    say_note(judgement_note(manifest, precision))
