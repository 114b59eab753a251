"""Switches in the environment, which the user alone sets; `mghft-run` reads them by the same rule."""

from __future__ import annotations

import os


def is_on(name: str) -> bool:
    """Whether a variable is set to anything but nothing and 0."""
    return os.environ.get(name, "0") not in ("", "0")
