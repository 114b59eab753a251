"""Keep the statistics of calibration stickers for the next conversion.

A file holds arrays; its name is the hash of everything that they depend on. It keeps histograms instead of ranges, so
another calibrator or percentile needs no new pass over the stickers.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mghft_export.files.atomic import replacing_file
from mghft_export.precision.histogram import HALF, SMALLEST_EXPONENT, Histogram
from mghft_export.runtime.session import Array

KEY = "key"
"""Name of the array with the JSON that says what the file's arrays depend on."""
LARGEST_EXPONENT = 128
"""A histogram of float32 values never has a larger exponent."""


def cached_arrays(folder: Path, key: Mapping[str, Any]) -> dict[str, Array] | None:
    """The arrays that were kept under exactly this key; None if there are none or the file is damaged."""
    try:
        with np.load(_file(folder, key), allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return None
    own = arrays.pop(KEY, None)
    return arrays if own is not None and str(own) == _text(key) else None


def write_cached_arrays(folder: Path, key: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Keep arrays for the next conversion."""
    with replacing_file(_file(folder, key)) as partial, partial.open("wb") as stream:
        named: dict[str, Any] = {KEY: np.array(_text(key)), **arrays}
        np.savez_compressed(stream, **named)


def histograms_to_arrays(histograms: Mapping[str, Histogram]) -> dict[str, Array]:
    """Arrays that hold all histograms, one per row."""
    counts = np.stack([item.counts for item in histograms.values()])
    return {
        "counts": counts.astype(np.min_scalar_type(int(counts.max()))),
        "exponents": np.array([item.exponent for item in histograms.values()], np.int16),
        "largest": np.array([item.largest for item in histograms.values()], np.float64),
    }


def histograms_from_arrays(
    arrays: Mapping[str, Array], tensors: Sequence[str]
) -> dict[str, Histogram] | None:
    """The histograms that :func:`histograms_to_arrays` turned into these arrays; None if the arrays are not valid."""
    shapes = {"counts": (len(tensors), 2 * HALF), "exponents": (len(tensors),), "largest": (len(tensors),)}
    if {name: array.shape for name, array in arrays.items()} != shapes:
        return None
    counts, exponents, largest = (arrays[name] for name in shapes)
    if (counts.dtype.kind, exponents.dtype.kind, largest.dtype.kind) != ("u", "i", "f"):
        return None
    inside = (exponents >= SMALLEST_EXPONENT) & (exponents <= LARGEST_EXPONENT)
    if not inside.all() or not ((largest >= 0) & (largest <= np.exp2(exponents.astype(np.float64)))).all():
        return None
    found = {}
    for number, name in enumerate(tensors):
        found[name] = Histogram()
        found[name].counts = counts[number].astype(np.int64)
        found[name].exponent, found[name].largest = int(exponents[number]), float(largest[number])
    return found


def maxima_to_arrays(maxima: Mapping[str, Array]) -> dict[str, Array]:
    """The maxima by number instead of by tensor, because a tensor's name need not be valid as a file name."""
    return {str(number): array for number, array in enumerate(maxima.values())}


def maxima_from_arrays(arrays: Mapping[str, Array], tensors: Sequence[str]) -> dict[str, Array] | None:
    """The maxima that :func:`maxima_to_arrays` turned into these arrays; None if the arrays are not valid."""
    found = {name: arrays.get(str(number)) for number, name in enumerate(tensors)}
    if len(arrays) != len(tensors):
        return None
    kept = {name: array for name, array in found.items() if array is not None and array.dtype.kind == "f"}
    whole = len(kept) == len(tensors) and all(np.isfinite(array).all() for array in kept.values())
    return kept if whole else None


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)


def _file(folder: Path, key: Mapping[str, Any]) -> Path:
    return folder / f"{hashlib.sha256(_text(key).encode()).hexdigest()[:32]}.npz"
