"""The cache folders of this package. Everything in them can be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path

Kind = Literal["calibration", "onnxruntime-tensorrt", "rtx", "text", "timing", "verified"]
"""In this order: values seen on calibration stickers; engines of ONNX Runtime's TensorRT provider; kernels that
TensorRT-RTX compiled; frozen text features; timing caches of TensorRT; hashes of files that were read, and of engines
that were built here."""


def cache_folder(kind: Kind) -> Path:
    """A folder of the user's cache, for example `~/.cache/mghft-export/text` on Linux. It may not exist yet.

    Raises:
        RuntimeError: the user has no home.
    """
    root = user_cache_path("mghft-export", appauthor=False)
    if not root.is_absolute():
        raise RuntimeError("the user has no home folder")
    return root / kind
