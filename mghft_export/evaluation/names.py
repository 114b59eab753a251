"""How an image of a data set is called in a report."""

from __future__ import annotations

import os
from pathlib import Path


def image_name(image: Path, root: Path) -> str:
    """An image's path inside the data set, with forward slashes."""
    base = Path(os.path.normpath(root))  # as the readers of data sets write paths
    return image.relative_to(base).as_posix() if image.is_relative_to(base) else str(image)
