"""ICC profiles of made-up devices, small and easy to tell from sRGB."""

from __future__ import annotations

import struct


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Version 2.1 of the specification, 6.1 and 6.2."""
    start = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content.ljust(-(-len(content) // 4) * 4, b"\0")
    header = struct.pack(">I4sI4s4s4s", start + len(data), b"\0\0\0\0", 0x02100000, kind, space, connection)
    header = header.ljust(36, b"\0") + b"acsp" + bytes(28) + _fixed(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + table + data


def _description(name: str) -> bytes:
    text = name.encode() + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)


def _common(name: str) -> dict[bytes, bytes]:
    return {
        b"desc": _description(name),
        b"cprt": b"text" + bytes(4) + b"public domain\0",
        b"wtpt": b"XYZ " + bytes(4) + _fixed(0.9642, 1.0, 0.8249),
    }


def matrix_profile(name: str) -> bytes:
    """A screen whose red and green are sRGB's green and red, of gamma 2.2."""
    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256))
    tags = _common(name)
    for letter, primary in ((b"r", green), (b"g", red), (b"b", blue)):
        tags[letter + b"XYZ"] = b"XYZ " + bytes(4) + _fixed(*primary)
        tags[letter + b"TRC"] = curve
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def printer_profile() -> bytes:
    """A printer that has black ink alone: whatever the others are, they leave the paper white."""
    table = b"".join(bytes([255 if corner % 2 == 0 else 0, 128, 128]) for corner in range(16))
    curves = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += curves * 4 + table + curves * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {**_common("black ink"), b"A2B0": lut})
