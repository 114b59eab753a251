"""Run a graph and look at its inner tensors."""

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
"""The inputs of one run of a graph, by name."""
Run = Callable[[Feeds], dict[str, Array]]
"""A function that runs a branch: it takes inputs and returns the graph's own outputs."""


def observed(model: onnx.ModelProto, tensors: Sequence[str], look: Callable[[str, Array], None]) -> Run:
    """Return a function that runs a graph and passes the values of its tensors to `look`.

    Args:
        model: a float32 graph, which is not changed.
        tensors: names of inner values, inputs or outputs of the graph.
        look: called after each run with the name and the values of each tensor.
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
    """Return a function that runs a graph, and a histogram of each tensor that the runs fill.

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
    """Return a function that runs a graph, and the largest magnitude of each channel of each tensor so far.

    Channels are the last dimension.

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
    """Return a function that runs a graph, and the largest magnitude of each tensor so far, a scalar.

    The graph itself reduces the tensors, so memory does not grow with their number.

    Running raises:
        MGHFTError: a tensor is infinite, or an output of the graph is not a number.
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
            # ONNX Runtime's reductions may skip a NaN, but the NaN reaches the graph's outputs.
            if not np.isfinite(array).all():
                raise _not_finite(name, branch)
        return values

    return checked, maxima


def _not_finite(name: str, branch: str) -> MGHFTError:
    return MGHFTError(
        f"{name} of {branch}.onnx is infinite or not a number on the calibration stickers; check the checkpoint"
    )
