"""The packages that only the evaluation needs, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from mghft_export.errors import MGHFTError

DISTRIBUTIONS = {"sklearn": "scikit-learn", "scipy": "scikit-learn", "matplotlib": "matplotlib"}
"""What to install for a module; scipy comes with scikit-learn."""


def evaluation_module(name: str) -> Any:
    """Import a module of scikit-learn, scipy or matplotlib.

    Raises:
        MGHFTError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = DISTRIBUTIONS[name.partition(".")[0]]
        raise MGHFTError(
            f"the evaluation needs {package}; install it with: pip install 'mghft-export[eval]'"
        ) from error
