"""How large activations get on calibration stickers, by ONNX Runtime's calibrators."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnxruntime.quantization.calibrate import (
    CalibraterBase,
    CalibrationDataReader,
    EntropyCalibrater,
    MinMaxCalibrater,
    PercentileCalibrater,
)

from mghft_export.atomic import replacing_file
from mghft_export.errors import MGHFTError
from mghft_export.hashing import sha256
from mghft_export.runtime.session import Array

Calibrator = Literal["max", "entropy", "percentile"]
Feeds = Mapping[str, Array]
"""What one run of a graph reads, by input name."""

HISTOGRAM_BINS = 2048


def default_cache_folder() -> Path:
    """`$XDG_CACHE_HOME/mghft-export/ranges`, by default under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mghft-export" / "ranges"


def collect_ranges(
    path: Path,
    feeds: Iterable[Feeds],
    tensors: Sequence[str],
    *,
    calibrator: Calibrator = "max",
    percentile: float = 99.99,
) -> dict[str, float]:
    """The largest magnitude that each tensor's INT8 range should hold.

    Args:
        path: a float32 graph.
        feeds: one run after another.
        tensors: inner values or inputs of the graph.
        calibrator: `max` takes the largest magnitude seen; `entropy` the one that loses least information by
            Kullback and Leibler's measure; `percentile` the one that this share of the magnitudes stays below.
        percentile: in percent.

    Raises:
        MGHFTError: there are no feeds, or a tensor became infinite or not a number.
    """
    reader = _Reader(feeds)
    # ONNX Runtime's calibrators print a line a run.
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        collecting = _calibrator(path, Path(folder) / "augmented.onnx", tensors, calibrator, percentile)
        # One run at a time: the histograms' calibrators keep every tensor of a call in memory.
        try:
            while reader.fill():
                collecting.collect_data(reader)
        except ValueError as error:  # numpy's, for values too close to each other to be told apart by bins
            raise MGHFTError(
                f"no histogram can be made of an activation of {path.name} ({error}); use --calibrator max"
            ) from error
        if not reader.runs:
            raise MGHFTError("there are no calibration stickers; give a set with at least one")
        data = collecting.compute_data()
    found = {name: float(np.abs(np.asarray(data[name].range_value)).max()) for name in tensors}
    for name, value in found.items():
        if not np.isfinite(value):
            raise MGHFTError(
                f"{name} of {path.name} is {value} on the calibration stickers; check the checkpoint"
            )
    return found


def cached_ranges(folder: Path, key: Mapping[str, Any]) -> dict[str, float] | None:
    """Ranges that were collected before under exactly this key; None where there are none or they are damaged."""
    path = _cache_file(folder, key)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("key") != json.loads(json.dumps(key)):
        return None
    ranges = content.get("ranges")
    if not isinstance(ranges, dict) or not all(isinstance(value, float) for value in ranges.values()):
        return None
    return ranges


def write_cached_ranges(folder: Path, key: Mapping[str, Any], ranges: Mapping[str, float]) -> None:
    """Keep ranges for the next time."""
    with replacing_file(_cache_file(folder, key)) as partial:
        partial.write_text(json.dumps({"key": key, "ranges": ranges}, indent=1) + "\n", encoding="utf-8")


def cache_key(path: Path, set_hash: str, tensors: Sequence[str], *settings: object) -> dict[str, Any]:
    """All that ranges depend on: the graph, the stickers, the tensors, and how all that is used."""
    return {
        "graph": sha256(path),
        "set": set_hash,
        "tensors": sorted(tensors),
        "settings": [str(item) for item in settings],
    }


def _cache_file(folder: Path, key: Mapping[str, Any]) -> Path:
    return folder / f"{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]}.json"


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands out one run, then says that there are no more until it is filled again."""

    def __init__(self, feeds: Iterable[Feeds]) -> None:
        self.feeds: Iterator[Feeds] = iter(feeds)
        self.waiting: Feeds | None = None
        self.runs = 0

    def fill(self) -> bool:
        self.waiting = next(self.feeds, None)
        self.runs += self.waiting is not None
        return self.waiting is not None

    def get_next(self) -> Feeds | None:
        feeds, self.waiting = self.waiting, None
        return feeds


def _calibrator(
    path: Path, augmented: Path, tensors: Sequence[str], calibrator: Calibrator, percentile: float
) -> CalibraterBase:
    """ONNX Runtime's calibrator for these tensors alone; its own choice is by operator."""
    found: CalibraterBase
    if calibrator == "max":
        found = MinMaxCalibrater(path, None, str(augmented))
    elif calibrator == "entropy":
        found = EntropyCalibrater(path, None, str(augmented), symmetric=True, num_bins=HISTOGRAM_BINS)
    else:
        found = PercentileCalibrater(
            path, None, str(augmented), symmetric=True, num_bins=HISTOGRAM_BINS, percentile=percentile
        )
    graph = found.model.graph
    infos: dict[str, onnx.ValueInfoProto] = {item.name: item for item in [*graph.value_info, *graph.input]}
    found.select_tensors_to_calibrate = lambda model: (set(tensors), infos)
    found.augment_graph()
    found.create_inference_session()
    return found
