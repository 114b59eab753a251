"""The layers of an engine. They are stored beside it when it is built: reading them from the engine needs a GPU."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mghft_export.engines.backend import Backend
from mghft_export.engines.build_log import BuildLog
from mghft_export.errors import EngineError
from mghft_export.files.foreign_json import parse_json

if TYPE_CHECKING:
    import tensorrt

ORDERING = {"signal", "wait"}
"""Kinds of layers that only order streams; they are left out."""


class Layer(BaseModel):
    """One kernel launch or copy.

    Attributes:
        kind: the package's name for this kind of layer, for example `gemm` or `kgen`.
        inputs: distinct element types of the inputs, for example `Half`.
        outputs: distinct element types of the outputs.
        nodes: the ONNX nodes that went into it, as far as the package names them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tactic: str
    nodes: tuple[str, ...]

    @property
    def precision(self) -> str:
        """The element types that it reads, and those that it writes if they differ."""
        read, written = ", ".join(self.inputs), ", ".join(self.outputs)
        return read if read == written else f"{read or '–'} → {written or '–'}"


class LayerTable(BaseModel):
    """The content of the layer file beside an engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    layers: tuple[Layer, ...]


def engine_layers(backend: Backend, plan: Any, log: BuildLog) -> tuple[Layer, ...]:
    """The layers of an engine that was just built.

    Raises:
        EngineError: the package cannot load the engine, or lists its layers in an unknown form.
    """
    if backend.name == "rtx":
        return _some(layers_of_log(log.layers or ""), backend)
    runtime: tensorrt.Runtime = backend.trt.Runtime(log.logger)
    runtime.engine_host_code_allowed = (
        True  # version-compatible engines bring code; this one was just built here
    )
    engine: tensorrt.ICudaEngine | None = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineError(
            f"{backend.title} does not load the engine that it built ({log.take_error()}); build it again"
        )
    inspector: tensorrt.EngineInspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(backend.trt.LayerInformationFormat.JSON)
    try:
        return _some(layers_of_inspector(text), backend)
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # not JSON, or with other fields
        raise _unknown_form(backend) from error


def _some(layers: tuple[Layer, ...], backend: Backend) -> tuple[Layer, ...]:
    """The layers, if there are any. Every engine has layers, so if none were found their form is unknown."""
    if not layers:
        raise _unknown_form(backend)
    return layers


def _unknown_form(backend: Backend) -> EngineError:
    return EngineError(
        f"{backend.title} lists the layers of an engine in a form that is not known here, so its fused attentions "
        "cannot be counted; use a version that docs/engines.md names, or a newer mghft-export"
    )


_LOG_LINE = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>[^,]*), Inputs: \[(?P<inputs>.*?)\], Constants: \[.*?\], "
    r"Outputs: \[(?P<outputs>.*?)\], TacticName: (?P<tactic>[^,]*),.*?Metadata: (?P<nodes>.*)$",
    re.MULTILINE,
)


def layers_of_log(text: str) -> tuple[Layer, ...]:
    """Layers from the list in TensorRT-RTX's log."""
    return tuple(
        Layer(
            name=found["name"],
            kind=found["kind"],
            inputs=_distinct(re.findall(r"Datatype: (\w+)", found["inputs"])),
            outputs=_distinct(re.findall(r"Datatype: (\w+)", found["outputs"])),
            tactic=found["tactic"],
            nodes=_nodes(found["nodes"]),
        )
        for found in _LOG_LINE.finditer(text)
        if found["kind"] not in ORDERING
    )


def layers_of_inspector(text: str) -> tuple[Layer, ...]:
    """Layers from TensorRT's engine inspector. Its fields differ a little from version to version."""
    layers = [item if isinstance(item, dict) else {"Name": item} for item in parse_json(text)["Layers"]]
    return tuple(
        Layer(
            name=item["Name"],
            kind=item.get("LayerType", ""),
            inputs=_distinct([_element_type(tensor) for tensor in item.get("Inputs", [])]),
            outputs=_distinct([_element_type(tensor) for tensor in item.get("Outputs", [])]),
            tactic=str(item.get("TacticName") or item.get("TacticValue") or ""),
            nodes=_nodes(item.get("Metadata", "")),
        )
        for item in layers
        if item.get("LayerType") not in ORDERING
    )


def _element_type(tensor: Mapping[str, Any]) -> str:
    """The element type: `Half` for `Half`, and for a text with `FP16` like `Row major linear FP16 format`."""
    text = str(tensor.get("Datatype") or tensor.get("Format/Datatype") or "")
    for sign, name in (
        ("FP16", "Half"),
        ("FP32", "Float"),
        ("INT8", "Int8"),
        ("INT32", "Int32"),
        ("INT64", "Int64"),
    ):
        if sign in text.upper():
            return name
    return text


def _distinct(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _nodes(metadata: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\[ONNX Layer: ([^\]]*)\]", metadata))


def layers_path(engine: Path) -> Path:
    """The path of an engine's layer file."""
    return engine.with_suffix(".layers.json")


def write_layers(engine: Path, layers: tuple[Layer, ...]) -> None:
    """Write the layer file beside an engine."""
    layers_path(engine).write_text(
        LayerTable(layers=layers).model_dump_json(indent=1) + "\n", encoding="utf-8"
    )


def read_layers(engine: Path) -> tuple[Layer, ...]:
    """The layers of an engine file.

    Raises:
        EngineError: the layer file beside the engine is missing or damaged.
    """
    path = layers_path(engine)
    try:
        return LayerTable.model_validate_json(path.read_text(encoding="utf-8")).layers
    except OSError as error:
        raise EngineError(
            f"{path} cannot be read ({error.strerror}); the layers are written when `mghft-export trt` builds an engine"
        ) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise EngineError(f"{path} is damaged; build the engine again with `mghft-export trt`") from error


def read_times(path: Path) -> dict[str, float]:
    """Milliseconds by layer name, from a profile in the form of `trtexec --exportProfile`.

    Raises:
        EngineError: the file is missing, or has another form.
    """
    try:
        rows = parse_json(path.read_text(encoding="utf-8"))
        times: dict[str, float] = {}
        for row in rows:
            if "name" in row:  # the first row counts the runs
                times[str(row["name"])] = times.get(str(row["name"]), 0.0) + float(row["averageMs"])
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"the profile {path} cannot be read; check the path") from error
    except (ValueError, TypeError, KeyError) as error:
        raise EngineError(
            f"{path} is no profile of layers; write one with `trtexec --loadEngine=... --exportProfile=FILE`"
        ) from error
    return times
