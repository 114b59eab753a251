"""Bring an MGHFT checkpoint into the fastest form that gives the same answers on a device.

>>> import mghft_export as mghft
>>> model = mghft.load("mghft-bundle")
>>> model.predict("cat.webp", text="#The sticker's intention is to comfort ...")

The functions `export`, `verify`, `build_engines` and `evaluate` do what the commands `onnx`, `verify`, `trt` and `eval`
do (docs/python.md). Modules are imported when they are first used: `import mghft_export` takes milliseconds, and torch
is imported only for checkpoints.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mghft_export.errors import MGHFTError, StickerError

if TYPE_CHECKING:
    from mghft_export.api.build_engines import build_engines
    from mghft_export.api.evaluate import evaluate
    from mghft_export.api.export import export
    from mghft_export.api.model import Model, load
    from mghft_export.api.verify import verify
    from mghft_export.runtime.pipeline import Prediction
    from mghft_export.stickers.any_image import rgb_image

__version__ = "0.1.0"

__all__ = [
    "MGHFTError",
    "Model",
    "Prediction",
    "StickerError",
    "build_engines",
    "evaluate",
    "export",
    "load",
    "rgb_image",
    "verify",
]

_HOMES = {
    "Model": "mghft_export.api.model",
    "Prediction": "mghft_export.runtime.pipeline",
    "build_engines": "mghft_export.api.build_engines",
    "evaluate": "mghft_export.api.evaluate",
    "export": "mghft_export.api.export",
    "load": "mghft_export.api.model",
    "rgb_image": "mghft_export.stickers.any_image",
    "verify": "mghft_export.api.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
