"""Find the calibration set that comes with the project, for users without data of their own."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from mghft_export.bundle.calibration_manifest import MANIFEST
from mghft_export.errors import DataError

_PACKAGE = Path(str(resources.files("mghft_export")))

PLACES = (_PACKAGE / "assets" / "calibration", _PACKAGE.parent / "calibration" / "default")
"""Where the set is in the installed package, and in the repository."""


def default_calibration_set() -> Path:
    """The folder of 160 emoji stickers, drawn by ``calibration/draw_default_set.py``.

    They are realistic inputs for the vision and text branches. Stickers of the model's own train split are better.

    Raises:
        DataError: the package was installed without the set.
    """
    for place in PLACES:
        if (place / MANIFEST).is_file():
            return place
    raise DataError(
        "the default calibration set is not installed; sample one with `mghft-export calibrate --data ROOT -o SET`"
    )
