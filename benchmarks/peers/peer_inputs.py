"""Stickers of the default calibration set as arrays, for calibration, comparison of outputs, and timing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mghft_export.bench.inputs import pixel_batches, preprocessing, sticker_batches
from mghft_export.bench.subjects import Subject
from mghft_export.bundle import Bundle
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.preprocess import preprocess_batch

Images = npt.NDArray[np.float32]


def spread_stickers(count: int) -> list[Path]:
    """The files of `count` stickers, evenly spread over the set, which is sorted by class."""
    stickers = load_calibration_set(default_calibration_set()).stickers
    return [stickers[number * len(stickers) // count].image for number in range(count)]


def images(bundle: Bundle, count: int) -> Images:
    """`count` stickers as the vision branch reads them: [count, 3, H, W]."""
    background = bundle.manifest.image.background
    opened = [open_sticker(path, background=background) for path in spread_stickers(count)]
    return preprocess_batch(opened, preprocessing(bundle))


def timed_batches(bundle: Bundle, batch: int) -> list[Images]:
    """The batches that `mghft-bench` times, which take turns: each [batch, 3, H, W]."""
    return pixel_batches(sticker_batches(Subject(bundle.root, "peer", "vision", batch, 1)), bundle)
