"""A graph that is run so that its inner tensors are seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from mghft_export.errors import MGHFTError
from mghft_export.precision.histogram import Histogram
from mghft_export.runtime.onnx_session import OnnxSession
from mghft_export.runtime.session import Array

Feeds = Mapping[str, Array]
"""What one run of a graph reads, by input name."""
Run = Callable[[Feeds], dict[str, Array]]
"""Runs a branch: inputs in, the graph's own outputs out."""


def observed(model: onnx.ModelProto, tensors: Sequence[str], look: Callable[[str, Array], None]) -> Run:
    """Run a graph and show its tensors, one run after another.

    Args:
        model: float32; left as it is.
        tensors: inner values, inputs or outputs of the graph.
        look: called with a tensor's name and values, for each tensor and run.
    """
    inputs = {item.name for item in model.graph.input}
    outputs = [item.name for item in model.graph.output]
    extended = onnx.ModelProto()
    extended.CopyFrom(model)
    known = inputs | set(outputs)
    extended.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in known)
    session = OnnxSession(extended.SerializeToString())

    def run(feeds: Feeds) -> dict[str, Array]:
        values = session.run(feeds)
        for name in tensors:
            look(name, feeds[name] if name in inputs else values[name])
        return {name: values[name] for name in outputs}

    return run


def observe_histograms(
    model: onnx.ModelProto, tensors: Sequence[str], branch: str
) -> tuple[Run, dict[str, Histogram]]:
    """A run that fills a histogram of each tensor.

    Running raises:
        MGHFTError: a tensor is infinite or not a number.
    """
    histograms = {name: Histogram() for name in tensors}

    def look(name: str, values: Array) -> None:
        try:
            histograms[name].add(values)
        except MGHFTError as error:
            raise _not_finite(name, branch) from error

    return observed(model, tensors, look), histograms


def observe_channel_maxima(
    model: onnx.ModelProto, tensors: Sequence[str], branch: str
) -> tuple[Run, dict[str, Array]]:
    """A run that takes the largest magnitude of each channel, the last dimension of each tensor.

    Running raises:
        MGHFTError: a tensor is infinite or not a number.
    """
    maxima: dict[str, Array] = {}

    def look(name: str, values: Array) -> None:
        rows = values.reshape(-1, values.shape[-1])
        found = np.maximum(rows.max(axis=0), -rows.min(axis=0))
        if not np.isfinite(found).all():
            raise _not_finite(name, branch)
        maxima[name] = np.maximum(maxima.get(name, found), found)

    return observed(model, tensors, look), maxima


def observe_maxima(
    model: onnx.ModelProto, tensors: Sequence[str], branch: str
) -> tuple[Run, dict[str, Array]]:
    """A run that takes the largest magnitude of each tensor, a scalar.

    The graph itself reduces the tensors, so any number of them needs no memory.

    Running raises:
        MGHFTError: a tensor is infinite, or an output of the graph not a number.
    """
    reduced = onnx.ModelProto()
    reduced.CopyFrom(model)
    sources = {}
    for number, name in enumerate(tensors):
        for kind in ("ReduceMax", "ReduceMin"):
            sources[f"observed.{kind}.{number}"] = name
            reduced.graph.node.append(
                helper.make_node(kind, [name], [f"observed.{kind}.{number}"], keepdims=0)
            )
    maxima: dict[str, Array] = {}

    def look(name: str, values: Array) -> None:
        found = np.abs(values)
        if not np.isfinite(found):
            raise _not_finite(sources[name], branch)
        maxima[sources[name]] = np.maximum(maxima.get(sources[name], found), found)

    run = observed(reduced, list(sources), look)

    def checked(feeds: Feeds) -> dict[str, Array]:
        values = run(feeds)
        for name, array in values.items():
            # ONNX Runtime's reductions may pass over what is not a number, but it does not vanish on the way.
            if not np.isfinite(array).all():
                raise _not_finite(name, branch)
        return values

    return checked, maxima


def _not_finite(name: str, branch: str) -> MGHFTError:
    return MGHFTError(
        f"{name} of {branch}.onnx is infinite or not a number on the calibration stickers; check the checkpoint"
    )
