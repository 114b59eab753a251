"""Which engines may be loaded: those that this user has built on this machine, and those that the user vouches for.

An engine is a program. A stranger who wrote the engine can also have written the hash beside it. So the hashes of
engines that are built here are kept in the user's own cache. `mghft-run` reads the same file
(`cpp/src/engine_folder.cpp`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from mghft_export.environment import is_on
from mghft_export.errors import EngineError
from mghft_export.files.own_lines import change_own_lines, read_own_lines

NAME = "engines.txt"
FIRST_LINE = "mghft-export built engines 1"
MOST_LINES = 8192

TRUST_ENGINES = "MGHFT_TRUST_ENGINES"
"""The environment variable with which a user vouches for engines; `--trust-engine` sets it for one command."""


def remember_built(hashes: Sequence[str]) -> None:
    """Save the SHA-256 of engines that were built here. If they cannot be saved, loading asks the user."""
    new = dict.fromkeys(hashes)
    with suppress(OSError, RuntimeError):
        change_own_lines(
            NAME, FIRST_LINE, lambda lines: [*(line for line in lines if line not in new), *new][-MOST_LINES:]
        )


def check_trust(folder: object, hashes: Sequence[str]) -> None:
    """Refuse engines that were not built here, unless the user vouches for them.

    Raises:
        EngineError: an engine was built elsewhere, and the user has not vouched for it.
    """
    if is_on(TRUST_ENGINES) or set(hashes) <= set(read_own_lines(NAME, FIRST_LINE)):
        return
    raise EngineError(
        f"{folder} has engines that were not built here by you, and an engine is a program; if you trust whoever built "
        "them, add --trust-engine"
    )
