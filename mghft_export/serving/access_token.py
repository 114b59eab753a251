"""The token that clients of a server send."""

from __future__ import annotations

from collections.abc import Mapping

from mghft_export.errors import MGHFTError

TOKEN = "MGHFT_TOKEN"
"""The environment variable with the token, for the server and for its clients."""


def token_of(environment: Mapping[str, str], needed: bool) -> str | None:
    """The token in the environment, if there is one.

    Raises:
        MGHFTError: it is needed and missing, or cannot be sent as a header.
    """
    token = environment.get(TOKEN) or None
    if token is None and needed:
        raise MGHFTError(
            f"a server that other machines can reach needs a token; set the environment variable {TOKEN}, "
            "or leave out --host"
        )
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise MGHFTError(
            f"the token in {TOKEN} has characters that a header cannot have; use letters and digits"
        )
    return token
