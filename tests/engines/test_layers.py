"""Layers read from a log and from an inspector, kept beside the engine, and shown with times."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from mghft_export.engines.backend import Backend
from mghft_export.engines.build_log import BuildLog
from mghft_export.engines.engine_layers import (
    Layer,
    engine_layers,
    layers_of_inspector,
    layers_of_log,
    read_layers,
    read_times,
    write_layers,
)
from mghft_export.errors import EngineError

TENSOR = "{ Name: %s, Dimensions: [-1,64], Strides: [64,1], Datatype: %s, Format: (Linear) Row major [1] }"


def line(name, kind, inputs, outputs, tactic, nodes):
    def tensors(types):
        return ", ".join(TENSOR % (f"t{number}", item) for number, item in enumerate(types))

    metadata = "".join(f"[ONNX Layer: {node}]" for node in nodes)
    return (
        f"Name: {name}, LayerType: {kind}, Inputs: [ {tensors(inputs)}], Constants: [ {tensors(['Float'])}], "
        f"Outputs: [ {tensors(outputs)}], TacticName: {tactic}, StreamId: 0, Metadata: {metadata}"
    )


def test_the_log_of_rtx():
    text = "\n".join(
        [
            "Layers:",
            line("a.MatMul_myl0_1", "gemm", ["Int8"], ["Half"], "__myelin_CASK_STUB", ["a.MatMul", "a.Add"]),
            line("__mye1_myl0_2", "signal", [], [], "", []),
            line(
                "_gemm_mha_v2_myl0_3", "kgen", ["Half", "Half"], ["Half"], "_gemm_mha_v2_0x1", ["b.Softmax"]
            ),
            "",
            "I/O Tensors:",
            " Name: logits, IOMode: Output, DataType: Float",
        ]
    )
    first, second = layers_of_log(text)
    assert (first.name, first.kind, first.precision) == ("a.MatMul_myl0_1", "gemm", "Int8 → Half")
    assert first.nodes == ("a.MatMul", "a.Add")
    assert (second.tactic, second.precision) == ("_gemm_mha_v2_0x1", "Half")


def test_the_inspector_of_tensorrt_in_its_versions():
    text = json.dumps(
        {
            "Layers": [
                {
                    "Name": "a.MatMul",
                    "LayerType": "gemm",
                    "Inputs": [{"Name": "x", "Format/Datatype": "Row major Int8 format"}],
                    "Outputs": [{"Name": "y", "Format/Datatype": "Row major linear FP16 format"}],
                    "TacticValue": "0x0123",
                    "Metadata": "[ONNX Layer: a.MatMul]\u001e[ONNX Layer: a.Add]",
                },
                {
                    "Name": "_gemm_mha_v2_myl0_3",
                    "LayerType": "kgen",
                    "Inputs": [{"Name": "x", "Datatype": "Half"}],
                    "Outputs": [{"Name": "y", "Datatype": "Half"}],
                    "TacticName": "_gemm_mha_v2_0x1",
                    "Metadata": "[ONNX Layer: b.Softmax]",
                },
                "only a name",
            ],
            "Bindings": ["x", "y"],
        }
    )
    first, second, third = layers_of_inspector(text)
    assert (first.precision, first.tactic, first.nodes) == ("Int8 → Half", "0x0123", ("a.MatMul", "a.Add"))
    assert (second.precision, second.tactic) == ("Half", "_gemm_mha_v2_0x1")
    assert (third.name, third.nodes) == ("only a name", ())


@pytest.mark.parametrize("text", ["", "Layers:\n[gemm] a.MatMul_myl0_1 of another form", None])
def test_a_log_in_which_nothing_is_recognised_is_an_error(rtx, text):
    """TensorRT-RTX 1.4 lists layers in another form: its engines had 0 layers, and no attention of 8 was fused."""
    log = BuildLog(rtx.trt)
    log.layers = text
    with pytest.raises(
        EngineError, match=r"TensorRT-RTX \S+ lists the layers of an engine in a form that is not known"
    ):
        engine_layers(rtx, b"", log)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"Layers": []}', '{"layers": [{"Name": "a"}]}', '{"Layers": [{"Type": 1}]}']
)
def test_an_inspector_in_which_nothing_is_recognised_is_an_error(text):
    inspector = SimpleNamespace(get_engine_information=lambda form: text)
    engine = SimpleNamespace(create_engine_inspector=lambda: inspector)
    trt = SimpleNamespace(
        ILogger=StandInLogger,
        LayerInformationFormat=SimpleNamespace(JSON=0),
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda plan: engine),
    )
    with pytest.raises(EngineError, match=r"TensorRT 12\.0 lists the layers of an engine in a form"):
        engine_layers(Backend("tensorrt", "12.0", trt), b"", BuildLog(trt))


class StandInLogger:
    Severity = SimpleNamespace(ERROR=1, INTERNAL_ERROR=0)


def test_layers_are_kept_beside_the_engine(tmp_path):
    layers = (Layer(name="a", kind="gemm", inputs=("Half",), outputs=("Half",), tactic="t", nodes=("n",)),)
    write_layers(tmp_path / "vision.engine", layers)
    assert read_layers(tmp_path / "vision.engine") == layers
    (tmp_path / "vision.layers.json").write_text("{}x")
    with pytest.raises(EngineError, match="damaged"):
        read_layers(tmp_path / "vision.engine")
    with pytest.raises(EngineError, match="mghft-export trt"):
        read_layers(tmp_path / "text.engine")


def test_times_of_a_profile(tmp_path):
    path = tmp_path / "profile.json"
    rows = [
        {"count": 10},
        {"name": "a", "averageMs": 0.5},
        {"name": "b", "averageMs": 0.25},
        {"name": "a", "averageMs": 1},
    ]
    path.write_text(json.dumps(rows))
    assert read_times(path) == {"a": 1.5, "b": 0.25}
    path.write_text("[1, 2]")
    with pytest.raises(EngineError, match="exportProfile"):
        read_times(path)
    with pytest.raises(EngineError, match="cannot be read"):
        read_times(tmp_path / "missing.json")
