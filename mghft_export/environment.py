"""Switches in environment variables, which only the user sets. `mghft-run` reads them by the same rule."""

from __future__ import annotations

import os


def is_on(name: str) -> bool:
    """Whether a variable is set, and is neither empty nor `0`."""
    return os.environ.get(name, "0") not in ("", "0")
