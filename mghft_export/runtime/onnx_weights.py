"""Take the large weights out of an ONNX model, so that ONNX Runtime maps them from the file instead of copying them.

ONNX Runtime maps only external data, so the graph declares its weights as external data, at their offset in its own
file. All other fields are copied as they are. `cpp/src/onnx_weights.cpp` does the same.
"""

from __future__ import annotations

from mghft_export.files.protobuf import BYTES, VARINT, Field, fields

LARGE_WEIGHT = 1 << 16
"""Weights of at least this many bytes are mapped. ONNX Runtime infers shapes from small ones."""

# Field numbers of onnx.proto.
MODEL_GRAPH, GRAPH_INITIALIZER = 7, 5
TENSOR_RAW_DATA, TENSOR_EXTERNAL_DATA, TENSOR_DATA_LOCATION = 9, 13, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
EXTERNAL = 1


def without_weights(model: memoryview, file_name: str) -> bytes:
    """The serialised model with its large weights as external data in `file_name`, the file that `model` was read from.

    Raises:
        ValueError: the model is malformed.
    """
    structure: list[bytes | memoryview] = []
    for number, kind, tag, start, end in fields(model, 0, len(model)):
        if (number, kind) != (MODEL_GRAPH, BYTES):
            structure.append(model[tag:end])
            continue
        parts = []
        for field in fields(model, start, end):
            parts.append(
                _initializer(model, field, file_name)
                if field[:2] == (GRAPH_INITIALIZER, BYTES)
                else model[field[2] : field[4]]
            )
        structure.append(_bytes(MODEL_GRAPH, b"".join(parts)))
    return b"".join(structure)


def _initializer(model: memoryview, field: Field, file_name: str) -> memoryview | bytes:
    """The field as it is, or with its weight as external data."""
    _, _, tag, start, end = field
    kept, weight = [], None
    for number, kind, inner_tag, inner_start, inner_end in fields(model, start, end):
        if (number, kind) == (TENSOR_RAW_DATA, BYTES):
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


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _bytes(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content
