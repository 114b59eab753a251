"""The model that clients of a Triton server call: it decodes, tokenises, keeps text features and calls the branches.

`1/model.py` in the repository imports it. Triton's Python backend gives it the module `triton_python_backend_utils`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mghft_export.api.model import Model
from mghft_export.errors import MGHFTError, StickerError
from mghft_export.runtime.branches import Branches
from mghft_export.runtime.pipeline import Pipeline, Prediction
from mghft_export.serving.bls_session import BlsSession
from mghft_export.serving.image_limit import SERVED_PIXELS
from mghft_export.serving.served_bundle import read_served


@dataclass(frozen=True)
class _Stickers:
    """What one request asks for."""

    images: list[Any]
    texts: list[Any]
    features: list[Any]

    @property
    def names(self) -> list[str]:
        """What errors call the stickers: a client knows nothing of the requests that run together with its own."""
        count = len(self.images)
        return ["the image"] if count == 1 else [f"image {number}" for number in range(count)]


class TritonPythonModel:
    """As Triton's Python backend wants it."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open what lies beside `model.py`."""
        self._utils = importlib.import_module("triton_python_backend_utils")
        folder = Path(args["model_repository"]) / args["model_version"]
        self._served, inputs = read_served(folder)
        sessions = {
            # What vision returns is read by fusion, in the server.
            name: BlsSession(self._utils, branch, to_host=name != "vision")
            for name, branch in self._served.branches.items()
        }
        branches = Branches(
            sessions["vision"], sessions["text"], sessions["fusion"], "triton", self._served.precision
        )
        self._model = Model(Pipeline.of_model(inputs, branches), trained=self._served.trained)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer requests; the stickers of all of them run together."""
        wanted: list[_Stickers | StickerError] = [self._stickers(request) for request in requests]
        together = [item for item in wanted if isinstance(item, _Stickers)]
        try:
            found = iter(
                self._model.predict_each(
                    [image for item in together for image in item.images],
                    [text for item in together for text in item.texts],
                    features=[row for item in together for row in item.features],
                    names=[name for item in together for name in item.names],
                    max_pixels=SERVED_PIXELS,
                )
            )
        except MGHFTError as error:  # a branch failed
            return [self._refusal(str(error)) for _ in requests]
        return [
            self._refusal(str(item), bad_input=True)
            if isinstance(item, StickerError)
            else self._answer([next(found) for _ in item.images])
            for item in wanted
        ]

    def finalize(self) -> None:
        """The server ends."""
        self._model.close()

    def _stickers(self, request: Any) -> _Stickers | StickerError:
        """A request's stickers, or why it cannot be read."""

        def tensor(name: str) -> Any:
            found = self._utils.get_input_tensor_by_name(request, name)
            return None if found is None else found.as_numpy()

        images, texts, features = tensor("image"), tensor("text"), tensor("text_features")
        if images is None:
            return StickerError("the request has no image; send the bytes of a file as the tensor 'image'")
        count = len(images)
        for name, array in (("text", texts), ("text_features", features)):
            if array is not None and len(array) != count:
                return StickerError(f"the request has {count} images and {len(array)} rows of {name}")
        files = list(images.reshape(count))
        if not all(
            isinstance(file, bytes) for file in files
        ):  # a text would be taken for a path on this machine
            return StickerError("an image is not the bytes of a file; send them as BYTES")
        return _Stickers(
            files,
            [None] * count if texts is None else [_decoded(row) for row in texts.reshape(count)],
            [None] * count if features is None else list(features),
        )

    def _answer(self, found: list[Prediction | StickerError]) -> Any:
        """The response for a request's stickers. The only sticker of a request makes the whole request fail."""
        if len(found) == 1 and isinstance(found[0], StickerError):
            return self._refusal(str(found[0]), bad_input=True)
        names = self._served.class_names
        labels, errors, probabilities = [], [], np.full((len(found), len(names)), np.nan, np.float32)
        for number, item in enumerate(found):
            failed = isinstance(item, StickerError)
            errors.append(str(item) if failed else "")
            labels.append("" if isinstance(item, StickerError) else item.label)
            if not isinstance(item, StickerError):
                probabilities[number] = [item.probabilities[name] for name in names]
        return self._utils.InferenceResponse(
            [
                self._texts("label", labels),
                self._utils.Tensor("probabilities", probabilities),
                self._texts("error", errors),
                self._texts("version", [self._served.version] * len(found)),
            ]
        )

    def _texts(self, name: str, values: list[str]) -> Any:
        array = np.array([[value.encode("utf-8", "replace")] for value in values], np.object_)
        return self._utils.Tensor(name, array)

    def _refusal(self, message: str, *, bad_input: bool = False) -> Any:
        """A response without outputs. Clients see bad input as status 400, and everything else as 500."""
        kind = self._utils.TritonError
        error = kind(message, kind.INVALID_ARG if bad_input else kind.INTERNAL)
        return self._utils.InferenceResponse([], error=error)


def _decoded(text: Any) -> str:
    """A text as the tensor has it; bytes that are not UTF-8 become replacement characters."""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
