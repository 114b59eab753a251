"""The address of an endpoint, from the command line, and the key for it, which comes only from the environment."""

from __future__ import annotations

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from mghft_export.errors import InterpreterError

KEY_VARIABLE = "OPENAI_API_KEY"

NO_KEY = "none"
"""Sent if there is no key: the client insists on one, and a user's own server ignores it."""


def checked_address(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        InterpreterError: it is not the address of a web server, or carries a password or key.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InterpreterError(
            "the endpoint is no address of a web server; give one such as http://localhost:8000/v1"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InterpreterError(
            "the endpoint's address carries a password or a query, which ends up in logs; "
            f"put the key into the environment variable {KEY_VARIABLE}"
        )
    return url.rstrip("/")


def is_this_machine(address: str) -> bool:
    """Whether an address means the machine that asks: localhost, 127.0.0.1, ::1."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def key_from_environment(variable: str = KEY_VARIABLE) -> str:
    """The key, or :data:`NO_KEY`.

    Raises:
        InterpreterError: it has characters that no HTTP header can carry.
    """
    key = os.environ.get(variable, "").strip() or NO_KEY
    if not (key.isascii() and key.isprintable()):
        raise InterpreterError(f"the key in {variable} has characters that no key has; copy it again")
    return key
