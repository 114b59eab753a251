"""Text features on disk: encoded once, reused for every sticker with that text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mghft_export.bundle import Bundle
from mghft_export.errors import StickerError
from mghft_export.files.atomic import replacing_file
from mghft_export.files.stored_arrays import DAMAGED, StoredArrays

FLOATS = (np.dtype("<f2"), np.dtype("<f4"), np.dtype("<f8"))
"""Element types that features on disk may have."""


@dataclass(frozen=True)
class TextFeatures:
    """Text features of stickers.

    Attributes:
        names: for each row, the file name of its sticker; an empty name if the row fits any sticker.
        features: [n, 4, C] float32.
    """

    names: tuple[str, ...]
    features: npt.NDArray[np.float32]


def text_branch_id(bundle: Bundle) -> str:
    """An identifier of what features depend on: the text branch's weights, the tokenizer and how texts are read."""
    manifest = bundle.manifest
    graph = manifest.precisions["fp32"]["text"].file.sha256
    settings = f"{manifest.text.views}/{manifest.text.pooling}/{manifest.text.max_length}"
    return f"{graph}/{manifest.tokenizer.sha256}/{settings}"


def _width(bundle: Bundle) -> int:
    """C, the width of a text feature."""
    graph = bundle.manifest.precisions["fp32"]["text"]
    return next(int(entry.shape[-1]) for entry in graph.outputs if entry.name == "text_features")


def save_features(
    path: Path, bundle: Bundle, names: Sequence[str], features: npt.NDArray[np.float32]
) -> None:
    """Write an `.npz` with `names`, `features` [n, 4, C] and `text_branch`."""
    with replacing_file(path) as partial, partial.open("wb") as stream:
        np.savez(
            stream, names=np.array(names), features=features, text_branch=np.array(text_branch_id(bundle))
        )


def load_features(path: Path, bundle: Bundle, content: bytes | None = None) -> TextFeatures:
    """Read what :func:`save_features` wrote.

    Args:
        content: the file's content if it was read before.

    Raises:
        StickerError: the file does not hold text features, or was made with another text branch. The branch is checked
            before anything else is read, and shapes are checked before values are read.
    """
    try:
        with StoredArrays(path if content is None else io.BytesIO(content)) as arrays:
            branch_shape, branch_type = arrays.header("text_branch")
            if branch_shape != () or branch_type.kind != "U":
                raise ValueError("no text branch")
            made_with = str(arrays.read("text_branch"))
            if made_with != text_branch_id(bundle):
                raise StickerError(
                    f"{path} was made with another bundle's text branch; run `mghft-export encode-text` again"
                )
            (names_shape, names_type), (shape, dtype) = arrays.header("names"), arrays.header("features")
            if dtype not in FLOATS or names_type.kind != "U":
                raise ValueError("neither numbers nor names")
            if (
                len(shape) != 3
                or shape[1:] != (4, _width(bundle))
                or names_shape != shape[:1]
                or not shape[0]
            ):
                raise StickerError(f"{path} is damaged; make it again with `mghft-export encode-text`")
            names, features = arrays.read("names"), arrays.read("features")
    except StickerError:  # it is a ValueError too, so the handler of damaged files would catch it
        raise
    except FileNotFoundError as error:
        raise StickerError(
            f"there are no text features at {path}; make them with `mghft-export encode-text`"
        ) from error
    except DAMAGED as error:
        raise StickerError(
            f"{path} holds no text features; make them with `mghft-export encode-text`"
        ) from error
    return TextFeatures(tuple(str(name) for name in names), features.astype(np.float32))
