"""Files of text features as a stranger may send them; the tests of both programs read the same list."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

NOT_FEATURES = "holds no text features; make them with `mghft-export encode-text`"
ANOTHER = "was made with another bundle's text branch; run `mghft-export encode-text` again"
DAMAGED = "is damaged; make it again with `mghft-export encode-text`"


def npy(array: np.ndarray[Any, Any]) -> bytes:
    """An array as numpy stores it."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def claiming(shape: str, dtype: str = "<f4") -> bytes:
    """An array of 16 bytes whose header says what it likes."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(16)


def archive(path: Path, members: dict[str, bytes], *, compressed: bool = False) -> None:
    """The members as an `.npz`."""
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def sound(branch: str, width: int) -> dict[str, bytes]:
    """Features of one sticker that are as they should be."""
    return {
        "names": npy(np.array(["a.png"])),
        "features": npy(np.zeros((1, 4, width), np.float32)),
        "text_branch": npy(np.array(branch)),
    }


def write_hostile(folder: Path, branch: str, width: int) -> dict[Path, str]:
    """Write the files.

    Args:
        branch: the id of the text branch that they pretend to be made with.
        width: of its features.

    Returns:
        by file what both programs say of it.
    """
    good = sound(branch, width)
    many = np.zeros((100_000, 4, width), np.float32)

    def changed(**members: bytes) -> dict[str, bytes]:
        return {**good, **members}

    stored: dict[str, tuple[dict[str, bytes], str]] = {
        "another-branch": (changed(text_branch=npy(np.array("another"))), ANOTHER),
        # What follows the branch is not looked at.
        "another-branch-and-nothing-else": ({"text_branch": npy(np.array("another"))}, ANOTHER),
        "no-branch": ({key: value for key, value in good.items() if key != "text_branch"}, NOT_FEATURES),
        "two-branches": (changed(text_branch=npy(np.array([branch, branch]))), NOT_FEATURES),
        "a-branch-of-numbers": (changed(text_branch=npy(np.array(1.0))), NOT_FEATURES),
        "no-names": ({key: value for key, value in good.items() if key != "names"}, NOT_FEATURES),
        "objects": (changed(features=npy(np.array([None], object))), NOT_FEATURES),
        "whole-numbers": (changed(features=npy(np.zeros((1, 4, width), np.int32))), NOT_FEATURES),
        "names-of-bytes": (changed(names=npy(np.array([b"a.png"]))), NOT_FEATURES),
        "another-width": (changed(features=npy(np.zeros((1, 4, width + 1), np.float32))), DAMAGED),
        "three-views": (changed(features=npy(np.zeros((1, 3, width), np.float32))), DAMAGED),
        "no-rows": (
            changed(names=npy(np.zeros(0, "<U1")), features=npy(np.zeros((0, 4, width), np.float32))),
            DAMAGED,
        ),
        "more-names": (changed(names=npy(np.array(["a", "b"]))), DAMAGED),
        "claims-a-terabyte": (changed(features=claiming(f"(68719476736, 4, {width})")), NOT_FEATURES),
        "claims-more-than-is-countable": (
            changed(features=claiming("(9999999999999, 9999999999)")),
            NOT_FEATURES,
        ),
        "a-negative-shape": (changed(features=claiming("(-1, 4, 2)")), NOT_FEATURES),
        "no-shape": (changed(features=claiming("[1, 4, 2]")), NOT_FEATURES),
        "endless-names": (changed(names=claiming("(1,)", "<U999999999")), NOT_FEATURES),
        "cut-array": (changed(features=good["features"][:-4]), NOT_FEATURES),
        "no-array": (changed(features=b"\x93NUMPY"), NOT_FEATURES),
    }
    found: dict[Path, str] = {}
    for name, (members, said) in stored.items():
        path = folder / f"{name}.npz"
        archive(path, members)
        found[path] = said
    compressed = folder / "a-hundred-times-its-size.npz"
    archive(compressed, changed(names=npy(np.full(100_000, "a.png")), features=npy(many)), compressed=True)
    whole = folder / "sound.npz"
    archive(whole, good)
    cut, text = folder / "cut.npz", folder / "text.npz"
    cut.write_bytes(whole.read_bytes()[:-30])
    text.write_text("no archive")
    whole.unlink()
    return found | dict.fromkeys((compressed, cut, text), NOT_FEATURES)
