"""The rows of the comparison, ours and what a user would pick instead, and how each is prepared and run."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from peer_agreement import SELECTED, STICKERS, Outputs, save_outputs
from peer_inputs import Images, images, timed_batches

from mghft_export.bench.memory import free_bytes, too_large
from mghft_export.bench.provenance import installed_version
from mghft_export.bench.subjects import SelfOpening, Subject
from mghft_export.bundle import Bundle, load_bundle
from mghft_export.config import MGHFTConfig
from mghft_export.errors import MGHFTError
from mghft_export.evaluation.verification.observed_branches import with_selections
from mghft_export.runtime.graph_session import open_graph

Side = Literal["ours", "peer"]
Number = Literal["float32", "bfloat16", "INT8"]
Run = Callable[[Images], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Way:
    """One way to run the vision branch.

    Attributes:
        number: the numbers that a user asks for; a peer may compute in others, and its note then says so.
    """

    name: str
    side: Side
    number: Number


REFERENCE = "onnxruntime fp32"
OPENVINO_DEFAULTS = "OpenVINO, defaults"
NNCF = "OpenVINO, NNCF INT8"
COMPILE = "torch.compile"
AHEAD = "AOTInductor"
QUANTIZE_STATIC = "ORT quantize_static"
RELEASED = "PyTorch, as released"

OURS = {
    REFERENCE: ("cpu", "fp32"),
    "onnxruntime int8": ("cpu", "int8"),
    "openvino fp32": ("openvino", "fp32"),
    "openvino int8": ("openvino", "int8"),
    "openvino fp32 bf16": ("openvino-bf16", "fp32"),
    "openvino int8 bf16": ("openvino-bf16", "int8"),
}
"""Name of each of our rows -> provider, and precision of the bundle's graph."""


def _number(provider: str, precision: str) -> Number:
    if precision == "int8":
        return "INT8"
    return "bfloat16" if provider == "openvino-bf16" else "float32"


WAYS = (
    *(Way(name, "ours", _number(provider, precision)) for name, (provider, precision) in OURS.items()),
    Way(OPENVINO_DEFAULTS, "peer", "float32"),
    Way(COMPILE, "peer", "float32"),
    Way(AHEAD, "peer", "float32"),
    Way(RELEASED, "peer", "float32"),
    Way(NNCF, "peer", "INT8"),
    Way(QUANTIZE_STATIC, "peer", "INT8"),
)
"""All rows, the reference first."""


@dataclass(frozen=True)
class Places:
    """Where a bundle's prepared files are kept; another bundle or another version of a tool has other places."""

    root: Path

    @property
    def weights(self) -> Path:
        """The vision branch's weights, for PyTorch."""
        return self.root / f"weights-{installed_version('torch')}.safetensors"

    @property
    def weights_remark(self) -> Path:
        """A JSON file that says why those are not the bundle's own weights, or null."""
        return self.weights.with_suffix(".json")

    @property
    def nncf(self) -> Path:
        """The folder with NNCF's graph in OpenVINO's format."""
        return self.root / f"nncf-{installed_version('nncf')}"

    @property
    def quantize_static(self) -> Path:
        """The ONNX file of `quantize_static`."""
        return self.root / f"quantize-static-{onnxruntime_version()}.onnx"

    def ahead(self, batch: int) -> Path:
        """AOTInductor's package."""
        return self.root / f"aot-{installed_version('torch')}-batch{batch}.pt2"

    @property
    def inductor(self) -> Path:
        """The folder of Inductor's compiled code."""
        return self.root / f"inductor-{installed_version('torch')}"

    def outputs(self, name: str, batch: int) -> Path:
        """The outputs of a row on the stickers that rows are compared on."""
        return self.root / "outputs" / f"{_file_name(name)}-batch{batch}.npz"

    def note(self, name: str, batch: int) -> Path:
        """The file with a row's note."""
        return self.outputs(name, batch).with_suffix(".json")

    def log(self, name: str) -> Path:
        """The file with what libraries wrote while a row was prepared."""
        return self.root / "logs" / f"{_file_name(name)}.log"


def places(bundle: Bundle, work: Path) -> Places:
    """The places of a bundle, which its float32 vision graph identifies."""
    return Places(work / bundle.manifest.precisions["fp32"]["vision"].file.sha256[:16])


def _file_name(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")


def onnxruntime_version() -> str | None:
    """ONNX Runtime's version, from whichever of its two packages is installed."""
    return installed_version("onnxruntime-gpu") or installed_version("onnxruntime")


@dataclass(frozen=True, kw_only=True)
class PeerRow(SelfOpening):
    """A way to run the vision branch at one batch size.

    Attributes:
        way: the name of one of :data:`WAYS`.
        why_not: why its preparation failed, or None.
    """

    way: str
    places: Places
    why_not: str | None = None

    @property
    def name(self) -> str:
        """The row's name in tables."""
        return self.way

    def open(self) -> Callable[[], object]:
        """Load, run the stickers that rows are compared on, and return a function that runs a timed batch."""
        if self.why_not is not None:
            raise MGHFTError(self.why_not)
        bundle = load_bundle(self.bundle)
        run, selections, note = _OPENERS.get(self.way, _open_ours)(self, bundle)
        pixels = images(bundle, STICKERS)
        found = _joined(run(part) for part in _parts(pixels, self.batch))
        if not all(np.isfinite(array).all() for array in found.values()):
            raise MGHFTError("its outputs are not finite numbers")
        if selections is not None:
            found |= selections(pixels)
        save_outputs(self.places.outputs(self.way, self.batch), found)
        self.places.note(self.way, self.batch).write_text(json.dumps(note) + "\n", encoding="utf-8")
        batches = itertools.cycle(timed_batches(bundle, self.batch))
        return lambda: run(next(batches))


def _parts(pixels: Images, batch: int) -> Iterator[Images]:
    """All stickers in batches of the size that graphs may be made for; the last is filled with the first stickers."""
    for start in range(0, len(pixels), batch):
        yield pixels[np.arange(start, start + batch) % len(pixels)]


def _joined(runs: Iterator[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The outputs of all stickers, joined."""
    # A runtime may reuse its output memory, so the arrays are copied.
    found = [{name: array.copy() for name, array in outputs.items()} for outputs in runs]
    return {name: np.concatenate([outputs[name] for outputs in found])[:STICKERS] for name in found[0]}


Opened = tuple[Run, Callable[[Images], Outputs] | None, str | None]
"""A function that runs a batch; one that gives the selected patches if the outputs do not; and a note."""


def _open_ours(row: PeerRow, bundle: Bundle) -> Opened:
    provider, precision = OURS[row.way]
    path = bundle.graph("vision", precision)
    return _session(row, path, provider), _graph_selections(row, path, provider), None


def _session(row: PeerRow, path: Path, provider: str) -> Run:
    session = open_graph(path, provider=provider, threads=row.threads)
    return lambda pixels: session.run({"image": pixels})


def _graph_selections(row: PeerRow, path: Path, provider: str) -> Callable[[Images], Outputs]:
    """The selected patches from a second session, so that the timed session has no further outputs."""

    def run(pixels: Images) -> Outputs:
        model, names = with_selections(path)
        session = open_graph(model, provider=provider, threads=row.threads)
        found = _joined(session.run({"image": part}) for part in _parts(pixels, row.batch))
        return {stage + SELECTED: found[name] for stage, name in names.items()}

    return run


def _open_quantize_static(row: PeerRow, bundle: Bundle) -> Opened:
    path = row.places.quantize_static
    return (
        _session(row, path, "cpu"),
        _graph_selections(row, path, "cpu"),
        "per tensor, least and greatest value",
    )


def _open_nncf(row: PeerRow, bundle: Bundle) -> Opened:
    from peer_quantisers import NNCF_MODEL

    path = row.places.nncf / NNCF_MODEL
    run, _ = _openvino(row, path, {"INFERENCE_PRECISION_HINT": "f32"})
    return run, _openvino_selections(row, bundle, path, {"INFERENCE_PRECISION_HINT": "f32"}), None


def _open_openvino_defaults(row: PeerRow, bundle: Bundle) -> Opened:
    path = bundle.graph("vision")
    run, computes_in = _openvino(row, path, {})
    note = None if computes_in == "f32" else f"computes in {computes_in}, OpenVINO's choice on this CPU"
    return run, _openvino_selections(row, bundle, path, {}), note


def _openvino(
    row: PeerRow, path: Path, settings: Mapping[str, Any], further: tuple[str, ...] = ()
) -> tuple[Run, str]:
    """The graph as a user of OpenVINO compiles it, and the type that it computes in.

    Args:
        further: names of tensors that become outputs.
    """
    try:
        import openvino
    except ImportError as error:
        raise MGHFTError("OpenVINO is not installed; install it with: pip install openvino nncf") from error
    core = openvino.Core()
    model = core.read_model(path)
    if further:
        model.add_outputs(list(further))
    compiled = core.compile_model(model, "CPU", {**settings, "INFERENCE_NUM_THREADS": row.threads})
    request = compiled.create_infer_request()
    names = [port.get_any_name() for port in model.outputs]

    def run(pixels: Images) -> Mapping[str, np.ndarray]:
        # The inputs are read in place, as our sessions do.
        found = request.infer({"image": pixels}, share_inputs=True, share_outputs=False)
        # Outputs are matched by position: an output may have several names, and OpenVINO may list another one first.
        return dict(zip(names, found.values(), strict=True))

    return run, compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()


def _openvino_selections(
    row: PeerRow, bundle: Bundle, path: Path, settings: Mapping[str, Any]
) -> Callable[[Images], Outputs]:
    def run(pixels: Images) -> Outputs:
        _, names = with_selections(bundle.graph("vision"))
        step, _ = _openvino(row, path, settings, tuple(names.values()))
        found = _joined(step(part) for part in _parts(pixels, row.batch))
        places = dict(zip(names, list(found)[-len(names) :], strict=True))  # in the order they were added
        return {stage + SELECTED: found[name] for stage, name in places.items()}

    return run


def _torch(row: PeerRow, bundle: Bundle, open_step: Callable[[Any], Any]) -> Opened:
    """Open a step of :mod:`.peer_torch`, imported only here because our rows' processes do not load PyTorch."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(row.places.inductor)
    import peer_torch
    import torch

    torch.set_num_threads(row.threads)
    names = peer_torch.vision_outputs(MGHFTConfig.from_dict(bundle.manifest.model))
    return peer_torch.runner(open_step(peer_torch), names), None, None


def _open_compiled(row: PeerRow, bundle: Bundle) -> Opened:
    return _torch(row, bundle, lambda module: module.compiled(bundle, row.places.weights))


def _open_ahead(row: PeerRow, bundle: Bundle) -> Opened:
    return _torch(row, bundle, lambda module: module.ahead(row.places.ahead(row.batch)))


def _open_released(row: PeerRow, bundle: Bundle) -> Opened:
    as_released = Subject(row.bundle, "as-released", "vision", row.batch, row.threads)
    config = MGHFTConfig.from_dict(bundle.manifest.model)
    reason = too_large(as_released, config, free_bytes())
    if reason is not None:
        raise MGHFTError(reason)
    return _torch(row, bundle, lambda module: module.released(bundle, row.places.weights))


_OPENERS: dict[str, Callable[[PeerRow, Bundle], Opened]] = {
    OPENVINO_DEFAULTS: _open_openvino_defaults,
    NNCF: _open_nncf,
    COMPILE: _open_compiled,
    AHEAD: _open_ahead,
    QUANTIZE_STATIC: _open_quantize_static,
    RELEASED: _open_released,
}
