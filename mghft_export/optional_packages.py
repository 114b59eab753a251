"""Packages that only some commands need, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from mghft_export.errors import MGHFTError

PACKAGES = {
    "sklearn": "scikit-learn",
    "scipy": "scikit-learn",
    "json_repair": "json-repair",
    "python_multipart": "python-multipart",
    "ray": "ray[serve]",
}
"""The package to install for a module, if its name differs from the module's. scipy comes with scikit-learn."""

EXTRAS = {
    "scikit-learn": "eval",
    "matplotlib": "eval",
    "openai": "interpret",
    "filelock": "interpret",
    "json-repair": "interpret",
    "tritonclient": "client",
    "geventhttpclient": "client",
    "ray[serve]": "ray",
    "fastapi": "ray",
    "python-multipart": "ray",
    "pyarrow": "parquet",
    "accelerate": "train",
    "tensorboard": "train",
    "tomli": "train",
}
"""The extra of mghft-export that installs a package. All other packages come with the extra `torch`."""


def optional_module(name: str, needed_by: str, error: type[MGHFTError] = MGHFTError) -> Any:
    """Import a module.

    Args:
        needed_by: what needs the module, for the message: "the evaluation".
        error: the class of the error that is raised.

    Raises:
        MGHFTError: the module, or one that it imports, is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        raise error(missing_package(needed_by, problem)) from problem


def missing_package(needed_by: str, error: ModuleNotFoundError) -> str:
    """The sentence for a package that is not installed."""
    module = (error.name or "").partition(".")[0]
    package = PACKAGES.get(module, module)
    extra = EXTRAS.get(package, "torch")
    return f"{needed_by} needs the package {package}; install it with: pip install 'mghft-export[{extra}]'"
