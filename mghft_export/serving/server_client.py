"""Ask a server over HTTP with the Open Inference Protocol: Triton, or `mghft-export serve`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from mghft_export.errors import MGHFTError, StickerError
from mghft_export.optional_packages import optional_module
from mghft_export.runtime.pipeline import Prediction
from mghft_export.serving.access_token import TOKEN
from mghft_export.serving.triton_config import CLASS_NAMES

SECONDS = 60.0
"""Longest wait for one answer."""

TRIES = 30
"""Times, a second apart, that a server with too much work (status 429 or 503) is asked."""

Found = TypeVar("Found")


class ServerClient:
    """A connection to one model of a server.

    Args:
        url: of the server: `http://HOST:PORT`, or https.
        model: the name of the model that clients call.
        token: sent as `Authorization: Bearer TOKEN`.

    Raises:
        MGHFTError: nobody answers there, the server has no such model, or tritonclient is not installed.
    """

    def __init__(self, url: str, model: str = "mghft", token: str | None = None) -> None:
        self._http = optional_module("tritonclient.http", "the client")
        self._url, self._model = url, model
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise MGHFTError(
                f"{url!r} is not the address of a server; give one such as http://localhost:8000"
            )
        self._client = self._http.InferenceServerClient(
            parts.netloc + parts.path.rstrip("/"),
            ssl=parts.scheme == "https",
            connection_timeout=SECONDS,
            network_timeout=SECONDS,
        )
        config = self._call(lambda: self._client.get_model_config(model, headers=self._headers))
        names = config.get("parameters", {}).get(CLASS_NAMES)
        if names is None:
            raise MGHFTError(
                f"the model {model!r} at {url} was not made by mghft-export; give its name with --model"
            )
        self.class_names: tuple[str, ...] = tuple(json.loads(names["string_value"]))

    def predict_each(
        self, images: Sequence[bytes], texts: Sequence[str | None]
    ) -> Iterator[Prediction | StickerError]:
        """Classify stickers; a bad one gets its error, and the others their classes.

        Args:
            images: the contents of image files.
            texts: a text for each, or None.

        Raises:
            MGHFTError: the server stopped answering, or reports an error that is not a sticker's.
        """
        for image, text in zip(images, texts, strict=True):
            yield self._one(image, text)

    def _one(self, image: bytes, text: str | None) -> Prediction | StickerError:
        """One request for each sticker: the server joins those of all its clients."""
        inputs = [self._words("image", image)]
        if text is not None:
            inputs.append(self._words("text", text.encode("utf-8", "replace")))
        try:
            answer = self._call(lambda: self._client.infer(self._model, inputs, headers=self._headers))
        except StickerError as error:
            return error
        shares = answer.as_numpy("probabilities")[0].tolist()
        return Prediction(
            answer.as_numpy("label")[0, 0].decode(), dict(zip(self.class_names, shares, strict=True))
        )

    def _words(self, name: str, value: bytes) -> Any:
        tensor = self._http.InferInput(name, [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[value]], np.object_))
        return tensor

    def _call(self, ask: Callable[[], Found]) -> Found:
        """Ask; again if the server has too much work.

        Raises:
            StickerError: the server refuses what was sent.
            MGHFTError: every other failure.
        """
        from geventhttpclient.response import HTTPParseError
        from tritonclient.utils import InferenceServerException

        for left in reversed(range(TRIES)):
            try:
                return ask()
            except InferenceServerException as error:
                status, reason = str(error.status()), str(error.message()).strip() or "no reason was given"
                if status in ("429", "503") and left:
                    time.sleep(1)
                    continue
                if status in ("400", "413") and "unknown model" not in reason:
                    raise StickerError(reason) from error
                if status == "401":
                    reason = f"it needs a token; set the environment variable {TOKEN}"
                raise self._unreachable(reason) from error
            except (
                OSError,
                RuntimeError,
                HTTPParseError,
            ) as error:  # what tritonclient's HTTP library raises
                raise self._unreachable(str(error) or type(error).__name__) from error
        raise AssertionError("unreachable")

    def _unreachable(self, reason: str) -> MGHFTError:
        return MGHFTError(
            f"the model {self._model!r} at {self._url} does not answer ({reason.splitlines()[0]}); "
            "check --url and --model"
        )
