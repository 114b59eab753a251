"""The client of an endpoint: it sends requests only to the address that the user named, without other headers."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

from mghft_export.errors import InterpreterError
from mghft_export.interpretation.endpoint_address import is_this_machine
from mghft_export.optional_packages import optional_module

CONNECT_TIMEOUT = 10.0
"""Seconds until a server counts as unreachable."""

LONGEST_BODY = 2**24
"""Most bytes of a response that are read; an answer has a few thousand."""

_HEADERS = frozenset(
    ("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent")
)
"""The headers that requests keep, beside the key."""


class BodyRefusedError(Exception):
    """A response that is not read, or not to its end; the message says why."""


def open_client(address: str, key: str, timeout: float) -> Any:
    """An openai client that retries nothing by itself and follows no redirects.

    It uses the environment's proxies only for other machines. It refuses responses of more than :data:`LONGEST_BODY`
    bytes and compressed ones, which it never asks for: :class:`BodyRefusedError` is then the cause of openai's error.

    Args:
        timeout: seconds until a request counts as lost.

    Raises:
        InterpreterError: openai is not installed, or the environment's proxies or certificates cannot be used.
    """
    openai = optional_module("openai", "the interpreter", InterpreterError)
    http_library = sys.modules[openai.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0]]

    stream_class: Any = http_library.AsyncByteStream

    class Bounded(stream_class):  # type: ignore[misc]
        """A body that raises an error once it gets too long."""

        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            count = 0
            async for chunk in self._stream:
                count += len(chunk)
                if count > LONGEST_BODY:
                    raise BodyRefusedError(f"an answer of more than {LONGEST_BODY:,} bytes")
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def bound(response: Any) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise BodyRefusedError("a compressed answer, which was not asked for")
        response.stream = Bounded(response.stream)

    async def keep_to_the_key(request: Any) -> None:
        # The client adds OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS for any server.
        for name in set(request.headers) - _HEADERS:
            del request.headers[name]
        request.headers["authorization"] = f"Bearer {key}"
        request.headers["accept-encoding"] = "identity"  # a few compressed bytes could expand to very many

    limits = openai.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT))
    try:
        http = openai.DefaultAsyncHttpxClient(
            timeout=limits,
            follow_redirects=False,
            trust_env=not is_this_machine(address),
            event_hooks={"request": [keep_to_the_key], "response": [bound]},
        )
    except Exception as error:  # many kinds of errors; their messages may hold a proxy's password
        raise InterpreterError(
            "the proxies or certificates of the environment cannot be used; correct or unset HTTP_PROXY, HTTPS_PROXY, "
            "ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
        ) from error
    return openai.AsyncOpenAI(base_url=address, api_key=key, max_retries=0, timeout=limits, http_client=http)
