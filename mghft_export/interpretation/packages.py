"""Packages that only the interpreter needs, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from mghft_export.errors import InterpreterError

EXTRAS = {"openai": "interpret", "filelock": "interpret", "json_repair": "interpret"}
"""The extra that brings a module; all others come with `torch`."""


def interpreter_module(name: str) -> Any:
    """Import a module of openai, filelock, json-repair, torch or transformers.

    Raises:
        InterpreterError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = (error.name or name).partition(".")[0]
        extra = EXTRAS.get(package, "torch")
        raise InterpreterError(
            f"the interpreter needs the package {package.replace('_', '-')}; "
            f"install it with: pip install 'mghft-export[{extra}]'"
        ) from error
