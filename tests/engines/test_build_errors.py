"""What goes wrong is one sentence with the remedy; triggered for real where that takes no GPU."""

from __future__ import annotations

import sys

import onnx
import pytest
from onnx import TensorProto, helper

from mghft_export.engines.backend import choose_backend, open_backend
from mghft_export.engines.build import build_branch, build_engines
from mghft_export.engines.build_errors import EngineMemoryError, NoKernelError, build_error
from mghft_export.engines.build_log import BuildLog
from mghft_export.engines.gpu import NoGpu
from mghft_export.engines.network import parse_network
from mghft_export.errors import EngineError


def test_turing_has_no_float32_products(full_bundle, plan):
    chosen = plan(full_bundle, "vision", targets=(75,))
    with pytest.raises(
        EngineError, match=r"Turing \(sm75\), and stage1\.reattention\S+ of vision.onnx .*leave sm75 out"
    ):
        build_branch(chosen, chosen.branches[0])


def test_an_unsupported_target_is_refused_with_those_that_are(full_bundle, plan):
    with pytest.raises(EngineError, match=r"does not build for sm90, only for sm75, sm80, sm86"):
        plan(full_bundle, targets=(86, 90))


def test_too_small_a_workspace_is_said_and_kept(bundle, plan):
    said = []
    with pytest.raises(EngineMemoryError, match="raise --workspace"):
        build_engines(plan(bundle, "fusion", workspace=1024), on_warning=said.append)
    assert said == [], "a workspace that was asked for must not change the batch"


def onnx_file(path, *nodes, opsets=(("", 18),)):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xz"]
    graph = helper.make_graph(list(nodes), "graph", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid(*item) for item in opsets]), path)
    return path


def test_an_operator_that_is_not_known_is_named_with_its_node(rtx, tmp_path):
    path = onnx_file(
        tmp_path / "strange.onnx",
        helper.make_node("Relu", ["x"], ["y"], "stage1.relu"),
        helper.make_node("Fancy", ["y"], ["z"], "stage2.fancy", domain="com.example"),
        opsets=(("", 18), ("com.example", 1)),
    )
    with pytest.raises(EngineError, match=r"does not take node 'stage2.fancy' \(Fancy\) of .*strange.onnx"):
        parse_network(rtx, path.read_bytes(), path, BuildLog(rtx.trt))


def test_a_file_that_is_not_onnx_is_named(rtx, tmp_path):
    with pytest.raises(EngineError, match=r"cannot read .*broken.onnx"):
        parse_network(rtx, b"not a graph", tmp_path / "broken.onnx", BuildLog(rtx.trt))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        # As reported in public issues of Jetsons, and by the packages' own texts.
        (
            "10: Could not find any implementation for node {ForeignNode[stage1.blocks.0.norm1...Reshape_9]}.",
            "found no kernel for a node",
        ),
        (
            "[virtualMemoryBuffer.cpp::resizePhysical::154] Error Code 2: OutOfMemory (Requested size was 2 bytes.)",
            "ran out",
        ),
        (
            "1: [defaultAllocator.cpp::allocate::19] Error Code 1: Cuda Runtime (out of memory)",
            "lower the last number",
        ),
        (
            "Error Code 1: Cuda Runtime (cudaError 35: CUDA driver version is insufficient for CUDA runtime version)",
            "needs a newer GPU driver",
        ),
        ("CUDA initialization failure with error: 35.", "update the driver"),
        ("Target GPU SM 70 is not supported by this TensorRT release.", "does not support this GPU"),
        ("Error Code 1: Internal Error (Unsupported SM: 0x809)", "does not support this GPU"),
        ("Unable to load library: libnvinfer_lean.so.1: cannot open shared object file", "tensorrt-lean"),
        ("Error Code 4: API Usage Error (something new)", "something new"),
    ],
)
def test_messages_become_sentences(message, words):
    error = build_error(
        ["first of several", message] if "new" not in message else [message], "text.onnx", "TensorRT 10.3.0"
    )
    assert words in str(error)
    assert str(error).startswith("TensorRT 10.3.0")
    assert "\n" not in str(error)


def test_a_missing_kernel_is_for_want_of_memory_where_the_log_says_so(rtx):
    """A Jetson's builder skips the kernels that do not fit with a warning, and fails when none is left."""
    failure = (
        "10: Could not find any implementation for node {ForeignNode[stage1.blocks.0.norm1...Reshape_9]}."
    )
    for warning, kind in (
        (
            "Tactic Device request: 2054MB Available: 1021MB. Device memory is insufficient to use tactic.",
            EngineMemoryError,
        ),
        (
            "Skipping tactic 0x03 due to insufficient memory on requested size of 1064 detected",
            EngineMemoryError,
        ),
        ("Skipping tactic 0x03 due to exception: no kernel for this type", NoKernelError),
    ):
        log = BuildLog(rtx.trt)
        log.logger.log(rtx.trt.ILogger.Severity.WARNING, warning)
        log.logger.log(rtx.trt.ILogger.Severity.ERROR, failure)
        error = build_error(log.errors, "vision.onnx", "TensorRT 10.3.0", log.memory)
        assert type(error) is kind, warning


def test_only_memory_failures_ask_for_a_smaller_batch():
    assert isinstance(build_error(["OutOfMemory"], "x", "y"), EngineMemoryError)
    assert not isinstance(build_error(["Unsupported SM: 0x809"], "x", "y"), EngineMemoryError)


class TestMissingPackages:
    @pytest.fixture(autouse=True)
    def no_packages(self, monkeypatch):
        for module in ("tensorrt", "tensorrt_rtx"):
            monkeypatch.setitem(sys.modules, module, None)

    def test_neither_is_installed(self, ada):
        with pytest.raises(EngineError, match=r"pip install 'mghft-export\[tensorrt\]'.*mghft-export\[rtx\]"):
            choose_backend("auto", ada)

    @pytest.mark.parametrize("name", ["tensorrt", "rtx"])
    def test_the_one_that_was_asked_for_is_not(self, ada, name):
        with pytest.raises(EngineError, match=rf"pip install 'mghft-export\[{name}\]'"):
            choose_backend(name, ada)


class FakeTensorRT:
    __version__ = "10.3.0"
    Builder = object


class TestAuto:
    def test_tensorrt_where_there_is_a_gpu(self, monkeypatch, ada):
        monkeypatch.setitem(sys.modules, "tensorrt", FakeTensorRT)
        chosen = choose_backend("auto", ada)
        assert (chosen.name, chosen.title) == ("tensorrt", "TensorRT 10.3.0")

    def test_rtx_where_there_is_none(self, monkeypatch, rtx):
        monkeypatch.setitem(sys.modules, "tensorrt", FakeTensorRT)
        assert choose_backend("auto", NoGpu("no driver")) == rtx

    def test_tensorrt_without_a_gpu_cannot_build(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorrt", FakeTensorRT)
        monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
        for wanted in ("auto", "tensorrt"):
            with pytest.raises(EngineError, match="no driver"):
                choose_backend(wanted, NoGpu("no driver"))

    def test_type_stubs_are_not_the_package(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorrt", type(sys)("tensorrt"))
        with pytest.raises(EngineError, match="only its type stubs"):
            open_backend("tensorrt")
