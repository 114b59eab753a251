"""Requests and answers of the Open Inference Protocol over HTTP, with tensors as JSON or as binary data.

https://github.com/kserve/open-inference-protocol and Triton's extension for binary data,
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_binary_data.html
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, ValidationError

from mghft_export.errors import StickerError
from mghft_export.runtime.pipeline import FloatArray, Prediction

JSON_LENGTH = "Inference-Header-Content-Length"
"""The HTTP header that says how many bytes of the body are JSON. Binary data follows."""


@dataclass(frozen=True)
class Sticker:
    """What a client sent of one sticker.

    Attributes:
        image: the bytes of a file.
        text: its text, or None.
        features: its text features [4, C], in the place of a text, or None.
        name: what errors call its image.
    """

    image: bytes
    text: str | None = None
    features: FloatArray | None = None
    name: str = "the image"


class _Parameters(BaseModel):
    binary_data_size: int | None = Field(default=None, ge=0)
    binary_data: bool = False
    binary_data_output: bool = False


class _Tensor(BaseModel):
    name: str
    shape: tuple[int, ...] = ()
    datatype: str = ""
    parameters: _Parameters = _Parameters()
    data: list[Any] | None = None


class _Output(BaseModel):
    name: str
    parameters: _Parameters = _Parameters()


class _Request(BaseModel):
    id: str = ""
    parameters: _Parameters = _Parameters()
    inputs: tuple[_Tensor, ...] = Field(max_length=3)
    outputs: tuple[_Output, ...] = Field(default=(), max_length=4)


@dataclass(frozen=True)
class InferRequest:
    """One request.

    Attributes:
        stickers: at least one.
        id: the client's name of the request, which the answer repeats.
        binary: names of the outputs that the client wants as binary data, or None for all of them.
        wanted: names of the outputs that the client wants; none means all.
    """

    stickers: tuple[Sticker, ...]
    id: str
    binary: frozenset[str] | None
    wanted: tuple[str, ...]


def read_request(body: bytes, json_length: str | None, *, most: int) -> InferRequest:
    """Read a request's body.

    Args:
        json_length: the value of the header :data:`JSON_LENGTH`, or None if the whole body is JSON.
        most: stickers that one request may have.

    Raises:
        StickerError: it is not a request for stickers; the message is for the client.
    """
    if json_length is not None and not re.fullmatch("[0-9]{1,12}", json_length):
        raise StickerError(f"the header {JSON_LENGTH} is not a number")
    length = len(body) if json_length is None else int(json_length)
    if length > len(body):
        raise StickerError(f"the header {JSON_LENGTH} says {length} bytes, but the body has {len(body)}")
    try:
        request = _Request.model_validate_json(body[:length])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise StickerError(
            f"the body is not a request of the Open Inference Protocol ({place or 'JSON'}: {first['msg']})"
        ) from error
    tensors = _tensors(request.inputs, body[length:], most)
    every = request.parameters.binary_data_output
    binary = frozenset(output.name for output in request.outputs if output.parameters.binary_data)
    return InferRequest(
        _stickers(tensors),
        request.id,
        None if every and not request.outputs else binary,
        tuple(output.name for output in request.outputs),
    )


def _tensors(inputs: Sequence[_Tensor], binary: bytes, most: int) -> dict[str, npt.NDArray[Any]]:
    """Arrays by name; those in binary data follow each other in the order of the inputs."""
    found: dict[str, npt.NDArray[Any]] = {}
    for item in inputs:
        if item.name not in ("image", "text", "text_features"):
            raise StickerError(
                f"the model has no input {item.name!r}; its inputs are image, text and text_features"
            )
        if item.name in found:
            raise StickerError(f"the input {item.name} is there twice")
        wanted = "FP32" if item.name == "text_features" else "BYTES"
        if item.datatype != wanted:
            raise StickerError(f"the input {item.name} is of type {item.datatype!r}; send {wanted}")
        size = item.parameters.binary_data_size
        if size is not None:
            if size > len(binary):
                raise StickerError(f"the input {item.name} has fewer bytes than its binary_data_size says")
            content, binary = binary[:size], binary[size:]
            flat = _binary_words(content, item.name, most) if wanted == "BYTES" else _binary_numbers(content)
        else:
            flat = _json_words(item) if wanted == "BYTES" else _json_numbers(item)
        try:
            found[item.name] = flat.reshape(item.shape)
        except (ValueError, OverflowError) as error:
            raise StickerError(
                f"the input {item.name} has {flat.size} values, which do not fit the shape {list(item.shape)}"
            ) from error
    if binary:
        raise StickerError(f"the body has {len(binary)} bytes after its last input")
    return found


def _binary_words(content: bytes, name: str, most: int) -> npt.NDArray[Any]:
    """Each value is its length in four bytes, little-endian, and its bytes."""
    found: list[bytes] = []
    start = 0
    while start < len(content):
        end = start + 4
        if end <= len(content):
            end += struct.unpack_from("<I", content, start)[0]
        if end > len(content):
            raise StickerError(f"the binary data of the input {name} ends within a value")
        if len(found) == most:
            raise StickerError(f"the request has more than {most} stickers; divide it")
        found.append(content[start + 4 : end])
        start = end
    return _words(found)


def _binary_numbers(content: bytes) -> npt.NDArray[Any]:
    if len(content) % 4:
        raise StickerError("the binary data of the input text_features does not consist of 4-byte numbers")
    return np.frombuffer(content, "<f4")


def _json_words(item: _Tensor) -> npt.NDArray[Any]:
    values = np.array(item.data if item.data is not None else [], np.object_).ravel()
    if item.name == "image":
        raise StickerError("the input image cannot be JSON; send the file as binary data, or to /predict")
    if not all(isinstance(value, str) for value in values):
        raise StickerError(f"the data of the input {item.name} are not strings")
    return _words([value.encode("utf-8", "replace") for value in values])


def _json_numbers(item: _Tensor) -> npt.NDArray[Any]:
    try:
        return np.array(item.data if item.data is not None else [], np.float32).ravel()
    except (TypeError, ValueError, OverflowError) as error:
        raise StickerError(f"the data of the input {item.name} are not numbers of one shape") from error


def _words(values: list[bytes]) -> npt.NDArray[Any]:
    found = np.empty(len(values), np.object_)
    found[:] = values
    return found


def _stickers(tensors: Mapping[str, npt.NDArray[Any]]) -> tuple[Sticker, ...]:
    if "image" not in tensors:
        raise StickerError("the request has no image; send the bytes of a file as the input 'image'")
    images, texts, features = tensors["image"].ravel(), tensors.get("text"), tensors.get("text_features")
    count = len(images)
    if not count:
        raise StickerError("the request has no image; send at least one")
    if texts is not None and texts.size != count:
        raise StickerError(f"the request has {count} images and {texts.size} texts; send one for each")
    if features is not None and not np.isfinite(features).all():
        raise StickerError("text_features has values that are not finite numbers")
    if features is not None and (features.ndim != 3 or len(features) != count):
        raise StickerError(
            f"text_features has the shape {list(features.shape)}; send [{count}, 4, C], one row for each image"
        )
    words = [None] * count if texts is None else [text.decode("utf-8", "replace") for text in texts.ravel()]
    return tuple(
        Sticker(
            images[number],
            words[number],
            None if features is None else features[number],
            "the image" if count == 1 else f"image {number}",
        )
        for number in range(count)
    )


def write_answer(
    request: InferRequest,
    found: Sequence[Prediction | StickerError],
    *,
    model: str,
    class_names: Sequence[str],
    version: str,
) -> tuple[bytes, dict[str, str]]:
    """The body of an answer, and its HTTP headers.

    A sticker with an error has an empty label and probabilities that are NaN, which JSON writes as null.

    Raises:
        StickerError: the request wants an output that the model does not have.
    """
    count = len(found)
    probabilities = np.full((count, len(class_names)), np.nan, np.float32)
    labels, errors = [""] * count, [""] * count
    for number, item in enumerate(found):
        if isinstance(item, StickerError):
            errors[number] = str(item)
        else:
            labels[number] = item.label
            probabilities[number] = [item.probabilities[name] for name in class_names]
    outputs: dict[str, list[str] | FloatArray] = {
        "label": labels,
        "probabilities": probabilities,
        "error": errors,
        "version": [version] * count,
    }
    if unknown := [name for name in request.wanted if name not in outputs]:
        raise StickerError(f"the model has no output {unknown[0]!r}; its outputs are {', '.join(outputs)}")
    described, binary = [], []
    for name in request.wanted or outputs:
        value = outputs[name]
        entry: dict[str, Any] = {
            "name": name,
            "datatype": "BYTES" if isinstance(value, list) else "FP32",
            "shape": [count, 1] if isinstance(value, list) else list(value.shape),
        }
        if request.binary is None or name in request.binary:
            content = _written(value)
            entry["parameters"] = {"binary_data_size": len(content)}
            binary.append(content)
        elif isinstance(value, list):
            entry["data"] = value
        else:
            entry["data"] = [None if np.isnan(number) else float(number) for number in value.ravel()]
        described.append(entry)
    answer = {"model_name": model, "model_version": "1", "outputs": described}
    head = json.dumps({"id": request.id, **answer} if request.id else answer).encode()
    if not binary:
        return head, {"Content-Type": "application/json"}
    return b"".join([head, *binary]), {
        "Content-Type": "application/octet-stream",
        JSON_LENGTH: str(len(head)),
    }


def _written(value: list[str] | FloatArray) -> bytes:
    """An output as binary data."""
    if not isinstance(value, list):
        return value.astype("<f4").tobytes()
    words = [word.encode("utf-8", "replace") for word in value]
    return b"".join(struct.pack("<I", len(word)) + word for word in words)
