"""Ask a Triton server that has loaded what `mghft-export triton` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mghft_export.errors import MGHFTError, StickerError
from mghft_export.optional_packages import optional_module
from mghft_export.runtime.pipeline import Prediction
from mghft_export.serving.triton_config import CLASS_NAMES

SECONDS = 60.0
"""Longest wait for one answer."""


class TritonClient:
    """A connection to one model of a server.

    Args:
        url: host and port of the server's gRPC service.
        model: the name of the model that clients call.

    Raises:
        MGHFTError: nobody answers there, the server has no such model, or tritonclient is not installed.
    """

    def __init__(self, url: str, model: str = "mghft") -> None:
        self._grpc = optional_module("tritonclient.grpc", "the client")
        self._url, self._model = url, model
        self._client = self._grpc.InferenceServerClient(url)
        config = self._call(lambda: self._client.get_model_config(model, client_timeout=SECONDS)).config
        if CLASS_NAMES not in config.parameters:
            raise MGHFTError(
                f"the model {model!r} at {url} was not made with `mghft-export triton`; give its --model"
            )
        self.class_names = tuple(json.loads(config.parameters[CLASS_NAMES].string_value))
        self.max_batch = int(config.max_batch_size)

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
            answer = self._client.infer(self._model, inputs, client_timeout=SECONDS)
        except self._grpc.InferenceServerException as error:
            if error.status() in ("StatusCode.INTERNAL", "StatusCode.UNKNOWN", "StatusCode.INVALID_ARGUMENT"):
                return StickerError(str(error.message()))
            raise self._unreachable(error) from error
        shares = answer.as_numpy("probabilities")[0].tolist()
        return Prediction(
            answer.as_numpy("label")[0, 0].decode(), dict(zip(self.class_names, shares, strict=True))
        )

    def _words(self, name: str, value: bytes) -> Any:
        tensor = self._grpc.InferInput(name, [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[value]], np.object_))
        return tensor

    def _call(self, ask: Any) -> Any:
        try:
            return ask()
        except self._grpc.InferenceServerException as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Any) -> MGHFTError:
        reason = str(error.message()).splitlines()[0]
        return MGHFTError(
            f"the model {self._model!r} at {self._url} does not answer ({reason}); check --url and --model"
        )
