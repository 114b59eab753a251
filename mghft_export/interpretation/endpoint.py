"""A model behind an OpenAI-compatible endpoint: vLLM, TensorRT-LLM, SGLang, Ollama, a hosted one."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

from mghft_export.errors import InterpreterError
from mghft_export.interpretation.answer import json_schema
from mghft_export.interpretation.data_url import data_url
from mghft_export.interpretation.endpoint_address import checked_address
from mghft_export.interpretation.endpoint_client import BodyRefusedError, open_client
from mghft_export.interpretation.protocol import Answer, Request, Unanswered
from mghft_export.optional_packages import optional_module

RETRIES = 6
"""Retries of one request; with the waits below, a server may be away for half a minute."""
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
"""Seconds before the first retry, and at most before a later one; waits double in between."""
LONGEST_RETRY_AFTER = 300.0
"""Most seconds that a server may ask to wait; a longer wait means a daily limit, and the run ends."""
WORDS_OF_SERVER = 200
"""Characters of a server's own message that are shown."""

MOST_TOKENS = 2**31
"""Most tokens of one request; a higher count from a server is not believed."""

_REFUSED_FORM = (400, 422)
_TRANSIENT = (408, 409, 425, 429)


@dataclass(frozen=True)
class Form:
    """Which of the protocol's newer fields a request uses."""

    schema: bool
    """Whether a JSON schema prescribes the answer's form."""
    limit: str
    """The name of the field that limits an answer's tokens."""


FORMS = (
    Form(schema=True, limit="max_tokens"),
    Form(schema=True, limit="max_completion_tokens"),  # OpenAI's newer models know only this one
    Form(schema=False, limit="max_tokens"),
    Form(schema=False, limit="max_completion_tokens"),
)
"""In the order in which they are tried, until an endpoint accepts one."""


class Endpoint:
    """Chat completions with images.

    This class retries, not the client, so that all workers wait when the server asks for it.

    Args:
        address: the base URL, which usually ends in `/v1`.
        key: sent as the bearer token; it appears in no message.
        key_variable: the environment variable that the key came from, for messages.
        concurrency: requests at the same time.
        retries: most retries of one request after 408, 409, 425, 429, 5xx, a broken connection or an invalid answer.
        timeout: seconds until a request counts as lost, from its start to the answer's last byte.
        max_tokens: most tokens of an answer.
        first_wait: seconds before the first retry.

    Raises:
        InterpreterError: openai is not installed, the address is not valid, or the environment's proxies cannot be
            used.
    """

    batch = 1

    def __init__(
        self,
        address: str,
        model: str = "",
        *,
        key: str,
        key_variable: str,
        concurrency: int = 16,
        retries: int = RETRIES,
        timeout: float = 120,
        max_tokens: int = 1024,
        first_wait: float = FIRST_WAIT,
    ) -> None:
        self.address, self.model, self.concurrency = checked_address(address), model, concurrency
        self._openai = optional_module("openai", "the interpreter", InterpreterError)
        self._client = open_client(self.address, key, timeout)
        self._key, self._key_variable, self._timeout = key, key_variable, timeout
        self._retries, self._first_wait, self._max_tokens = retries, first_wait, max_tokens
        self._form: Form | None = None
        self._resume_at = 0.0

    async def open(self) -> None:
        """Use the endpoint's only model if the user named none.

        Raises:
            InterpreterError: it has several models or none, does not list them, or cannot be reached.
        """
        if self.model:
            return
        try:
            listed = await asyncio.wait_for(self._client.models.list(), self._timeout)
            names = [str(model.id) for model in listed.data]
        except self._openai.APIConnectionError as error:
            raise self._unreachable(error) from error
        except asyncio.TimeoutError as error:
            raise InterpreterError(
                f"{self.address} does not list its models within {self._timeout:g} s; name the model, or give more "
                "time with --timeout"
            ) from error
        except (
            self._openai.OpenAIError,
            BodyRefusedError,
            AttributeError,
            TypeError,
            ValueError,
            RecursionError,
        ) as error:
            status = getattr(error, "status_code", 0)
            if status in (401, 403):
                raise self._key_refused() from error
            if 300 <= status < 400:
                raise self._redirected(error) from error
            raise InterpreterError(
                f"{self.address} lists no models; check the address, which usually ends in /v1, "
                "or name the model"
            ) from error
        if len(names) != 1:
            known = ", ".join(names[:5]) or "none"
            raise InterpreterError(f"{self.address} has {len(names)} models ({known}); name the one to ask")
        self.model = names[0]

    async def answer(self, requests: Sequence[Request]) -> list[Answer | Unanswered]:
        """Answer each request; see :class:`~mghft_export.interpretation.protocol.Backend`."""
        return list(await asyncio.gather(*map(self._answer, requests)))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _answer(self, request: Request) -> Answer | Unanswered:
        content = [{"type": "image_url", "image_url": {"url": data_url(frame)}} for frame in request.frames]
        content.append({"type": "text", "text": request.prompt})
        messages = [{"role": "user", "content": content}]
        problem = ""
        for attempt in range(self._retries + 1):
            await self._wait_with_the_others()
            asked_to_wait = None
            try:
                return await self._in_a_known_form(messages, request.views)
            except self._openai.APIStatusError as error:
                self._refuse_hopeless(error)
                if error.status_code not in _TRANSIENT and error.status_code < 500:
                    return Unanswered(self._said(error))
                problem, asked_to_wait = self._said(error), self._retry_after(error)
            except self._openai.APIConnectionError as error:
                timed_out = isinstance(error, self._openai.APITimeoutError)
                refused = error.__cause__ if isinstance(error.__cause__, BodyRefusedError) else None
                if self._form is None and _never_connected(error):
                    raise self._unreachable(error) from error
                problem = str(refused or ("no answer in time" if timed_out else "the connection broke"))
            except asyncio.TimeoutError:
                problem = "no answer in time"
            except BodyRefusedError as error:  # the body of an error status
                problem = str(error)
            except (
                self._openai.APIError,
                ValueError,
                RecursionError,
            ):  # the last two: the body is not valid JSON
                problem = "an answer that is no chat completion"
            if attempt < self._retries:
                await self._back_off(attempt, asked_to_wait)
        return Unanswered(f"{problem}, {self._retries + 1} times")

    async def _in_a_known_form(self, messages: list[Any], views: tuple[str, ...]) -> Answer:
        """Ask in the form that the endpoint has accepted before; the first time, try each form until it accepts one."""
        if self._form is not None:
            return await self._complete(messages, self._form, views)
        refused: Exception | None = None
        for form in FORMS:
            try:
                answer = await self._complete(messages, form, views)
            except self._openai.APIStatusError as error:
                if error.status_code not in _REFUSED_FORM:
                    raise
                refused = refused or error
            else:
                self._form = self._form or form
                return answer
        assert refused is not None
        raise refused

    async def _complete(self, messages: list[Any], form: Form, views: tuple[str, ...]) -> Answer:
        options: dict[str, Any] = {form.limit: self._max_tokens}
        if form.schema:
            schema = {"name": "sticker", "strict": True, "schema": json_schema(views)}
            options["response_format"] = {"type": "json_schema", "json_schema": schema}
        # The client's own timeout counts for each read, so a server that sends single bytes would never time out.
        completion = await asyncio.wait_for(
            self._client.chat.completions.create(model=self.model, messages=messages, **options),
            self._timeout,
        )
        if isinstance(completion, str) and self._form is None:
            raise InterpreterError(
                f"{self.address} answers with a page instead of a chat completion; "
                "check the address, which usually ends in /v1"
            )
        try:
            choice, usage = completion.choices[0], completion.usage
            return Answer(
                text=self._without_key(str(choice.message.content or "")),
                tokens_in=_count(usage, "prompt_tokens"),
                tokens_out=_count(usage, "completion_tokens"),
                cut=choice.finish_reason == "length",
            )
        except (AttributeError, IndexError, TypeError) as error:  # the client checks no fields
            raise ValueError("no chat completion") from error

    def _refuse_hopeless(self, error: Any) -> None:
        """Raise an error that neither a retry nor another sticker can change."""
        if error.status_code == 401 or (error.status_code == 403 and self._form is None):
            raise self._key_refused() from error  # a 403 after answers is about the sticker: moderation
        if 300 <= error.status_code < 400 and self._form is None:  # later it is one sticker's failure
            raise self._redirected(error) from error
        if error.status_code == 404:
            raise InterpreterError(
                f"{self.address} has no model {self.model!r} or no chat completions (404); check the model's name, "
                "and the address, which usually ends in /v1"
            ) from error
        if getattr(error, "code", None) == "insufficient_quota":
            raise InterpreterError(
                f"{self.address} says that the quota is used up; go on when there is more"
            ) from error
        wait = self._retry_after(error)
        if wait is not None and wait > LONGEST_RETRY_AFTER:
            raise InterpreterError(
                f"{self.address} asks to wait {wait:.0f} s; run the same command again then, nothing is lost"
            ) from error

    def _key_refused(self) -> InterpreterError:
        return InterpreterError(
            f"{self.address} refuses the key (401 or 403); put the right one into the environment variable "
            f"{self._key_variable}"
        )

    def _redirected(self, error: Any) -> InterpreterError:
        target = self._without_key(error.response.headers.get("location", "").partition("?")[0])
        return InterpreterError(
            f"{self.address} redirects to {target[:WORDS_OF_SERVER] or 'another address'}; name the final address"
        )

    def _unreachable(self, error: Exception) -> InterpreterError:
        cause = str(error.__cause__ or "")
        why = f" ({self._without_key(cause)})" if cause else ""
        return InterpreterError(
            f"cannot reach {self.address}{why}; check the address and that the server runs"
        )

    def _said(self, error: Any) -> str:
        """Status and the server's own words."""
        body = error.body if isinstance(error.body, dict) else {}
        words = str(body.get("message") or body.get("detail") or "")
        words = " ".join(words.encode("utf-8", "ignore").decode().split())  # JSON can encode half of an emoji
        words = self._without_key(words)[:WORDS_OF_SERVER]
        return f"HTTP {error.status_code}" + (f": {words}" if words else "")

    def _without_key(self, words: str) -> str:
        return words.replace(self._key, "***") if len(self._key) > 4 else words

    @staticmethod
    def _retry_after(error: Any) -> float | None:
        """Seconds of the Retry-After header, which may also be a date."""
        header = error.response.headers.get("retry-after", "")
        try:
            seconds = float(header)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(header).timestamp() - time.time()
            except ValueError:
                return None
        return max(0.0, seconds) if isfinite(seconds) else None

    async def _back_off(self, attempt: int, asked_to_wait: float | None) -> None:
        """Wait longer for each attempt, by a random share so that workers spread; if the server asks, all wait."""
        wait = min(LONGEST_WAIT, self._first_wait * 2**attempt) * random.uniform(0.5, 1)
        if asked_to_wait is None:
            await asyncio.sleep(wait)
            return
        now = asyncio.get_running_loop().time()
        self._resume_at = max(self._resume_at, now + asked_to_wait)
        await self._wait_with_the_others()
        await asyncio.sleep(wait)

    async def _wait_with_the_others(self) -> None:
        loop = asyncio.get_running_loop()
        while (wait := self._resume_at - loop.time()) > 0:
            await asyncio.sleep(wait + random.uniform(0, self._first_wait))


def _count(usage: object, name: str) -> int:
    """Tokens as a server counts them; 0 if its count is not a plausible number."""
    value = getattr(usage, name, None)
    return int(value) if isinstance(value, int | float) and 0 <= value <= MOST_TOKENS else 0


def _never_connected(error: Exception) -> bool:
    """Whether no connection was opened; the name of the HTTP library's exception tells."""
    return type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout", "UnsupportedProtocol")
