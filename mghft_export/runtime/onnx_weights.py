"""An ONNX file without its large weights, which ONNX Runtime then maps from the file instead of copying them.

ONNX Runtime maps external data alone, so the graph says that its weights are external, at their offset in its own
file. Protocol buffers are a sequence of fields, and all but the weights are copied as they are
(https://protobuf.dev/programming-guides/encoding/). `cpp/src/onnx_weights.cpp` does the same.
"""

from __future__ import annotations

from collections.abc import Iterator

LARGE_WEIGHT = 1 << 16
"""Bytes from which a weight is mapped; ONNX Runtime infers shapes from small ones."""

# Field numbers of onnx.proto.
MODEL_GRAPH, GRAPH_INITIALIZER = 7, 5
TENSOR_RAW_DATA, TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION = 9, 13, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
EXTERNAL = 1

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""

Field = tuple[int, int, int, int]
"""Number (0 where it is not of bytes), start of the tag, start and end of the content."""


def without_weights(model: memoryview, file_name: str) -> bytes:
    """The serialised model with its large weights as external data in `file_name`, which is where `model` was read.

    Raises:
        ValueError: the model is malformed.
    """
    structure: list[bytes | memoryview] = []
    for number, tag, start, end in _fields(model, 0, len(model)):
        if number != MODEL_GRAPH:
            structure.append(model[tag:end])
            continue
        parts = []
        for field in _fields(model, start, end):
            parts.append(
                _initializer(model, field, file_name)
                if field[0] == GRAPH_INITIALIZER
                else model[field[1] : field[3]]
            )
        structure.append(_bytes(MODEL_GRAPH, b"".join(parts)))
    return b"".join(structure)


def _initializer(model: memoryview, field: Field, file_name: str) -> memoryview | bytes:
    """The field as it is, or with its weight outside."""
    _, tag, start, end = field
    kept, weight = [], None
    for number, inner_tag, inner_start, inner_end in _fields(model, start, end):
        if number == TENSOR_RAW_DATA:
            weight = inner_start, inner_end - inner_start
        else:
            kept.append(model[inner_tag:inner_end])
    if weight is None or weight[1] < LARGE_WEIGHT:
        return model[tag:end]
    where = {"location": file_name, "offset": str(weight[0]), "length": str(weight[1])}
    entries = [
        _bytes(TENSOR_EXTERNAL_DATA, _bytes(ENTRY_KEY, key.encode()) + _bytes(ENTRY_VALUE, value.encode()))
        for key, value in where.items()
    ]
    location = _varint(TENSOR_DATA_LOCATION << 3 | VARINT) + _varint(EXTERNAL)
    return _bytes(GRAPH_INITIALIZER, b"".join([*kept, *entries, location]))


def _fields(model: memoryview, place: int, end: int) -> Iterator[Field]:
    while place < end:
        tag = place
        key, place = _read_varint(model, place, end)
        kind = key & 7
        start = place
        if kind == VARINT:
            _, place = _read_varint(model, place, end)
        elif kind == BYTES:
            size, start = _read_varint(model, place, end)
            place = start + size
        elif kind in (FIXED64, FIXED32):
            place += 8 if kind == FIXED64 else 4
        else:
            raise ValueError("a field of an unknown kind")
        if place > end:
            raise ValueError("a field ends beyond its message")
        yield (key >> 3 if kind == BYTES else 0), tag, start, place


def _read_varint(model: memoryview, place: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if place >= end:
            break
        byte = model[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number without an end")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _bytes(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content
