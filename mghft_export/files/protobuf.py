"""Read protocol buffers field by field, without a schema (https://protobuf.dev/programming-guides/encoding/)."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""

Field = tuple[int, int, int, int, int]
"""Number, wire type, start of the tag, start and end of the content."""


def fields(model: memoryview, place: int, end: int) -> Iterator[Field]:
    """The fields of the message from `place` to `end` of `model`.

    Raises:
        ValueError: the message is malformed.
    """
    while place < end:
        tag = place
        key, place = read_varint(model, place, end)
        kind = key & 7
        start = place
        if kind == VARINT:
            _, place = read_varint(model, place, end)
        elif kind == BYTES:
            size, start = read_varint(model, place, end)
            place = start + size
        elif kind in (FIXED64, FIXED32):
            place += 8 if kind == FIXED64 else 4
        else:
            raise ValueError("a field of an unknown kind")
        if place > end:
            raise ValueError("a field ends beyond its message")
        yield key >> 3, kind, tag, start, place


def read_varint(model: memoryview, place: int, end: int) -> tuple[int, int]:
    """The number at `place`, and the place after it.

    Raises:
        ValueError: the number does not end.
    """
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
