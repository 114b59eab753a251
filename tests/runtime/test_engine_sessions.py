"""How an engine is run: memory, shapes, profiles, graphs and errors, on stand-ins for CUDA and TensorRT.

No network runs here. What an engine really computes is tested in test_on_gpu.py, where there is a GPU.
"""

from __future__ import annotations

import gc
import hashlib
import re

import numpy as np
import pytest
from stand_in_cuda import StandInCuda
from stand_in_tensorrt import Engine, stand_in_backend

from mghft_export.errors import EngineError, MGHFTError
from mghft_export.runtime.buffers import DeviceBuffer, PinnedBuffer
from mghft_export.runtime.cuda import Cuda, open_cuda
from mghft_export.runtime.engine_runs import MOST_CONTEXTS
from mghft_export.runtime.engine_session import EngineSession, load_engine
from mghft_export.runtime.rtx_cache import RuntimeCache


@pytest.fixture
def runtime():
    return StandInCuda()


def numbers(batch, start=0):
    return np.arange(start, start + 3 * batch, dtype=np.float32).reshape(batch, 3)


def session(runtime, name="tensorrt", **options):
    engine = Engine(runtime, capturable=options.pop("capturable", True))
    return EngineSession(
        b"plan", "x.engine", backend=stand_in_backend(name, engine), cuda=Cuda(runtime), **options
    ), engine


def test_memory_is_kept_grows_and_is_given_back(runtime):
    buffer = DeviceBuffer(Cuda(runtime))
    address = buffer.reserve(100)
    assert buffer.reserve(60) == address
    assert runtime.count("device") == 1
    buffer.reserve(200)
    assert (runtime.count("device"), runtime.count("free device")) == (2, 1)
    buffer.free()
    buffer.free()
    assert not runtime.live


def test_pinned_memory_is_not_written_while_it_is_copied_from(runtime):
    cuda = Cuda(runtime)
    stream, pinned = cuda.open_stream(), PinnedBuffer(cuda)
    targets = [DeviceBuffer(cuda), DeviceBuffer(cuda)]
    arrays = [target.array((2, 3), np.dtype(np.float32), None) for target in targets]
    for number, array in enumerate(arrays):
        pinned.send(numbers(2, 10 * number), array, stream)
    found = [PinnedBuffer(cuda).fetch(array, stream) for array in arrays]
    stream.synchronize()
    np.testing.assert_array_equal(found, [numbers(2), numbers(2, 10)])


def test_a_full_gpu_is_one_sentence_and_the_buffer_can_be_used_again():
    runtime = StandInCuda(memory=1000)
    buffer = DeviceBuffer(Cuda(runtime))
    buffer.reserve(600)
    with pytest.raises(EngineError, match="smaller batch"):
        buffer.reserve(5000)
    buffer.reserve(900)
    assert len(runtime.live) == 1


def test_without_a_gpu():
    with pytest.raises(EngineError, match=r"needs an NVIDIA GPU.*leave out --engine"):
        open_cuda(StandInCuda(devices=0))
    cuda, gpu = open_cuda(StandInCuda())
    assert (gpu.name, gpu.sm) == ("Stand-in", 86)
    cuda.open_stream().synchronize()


def test_other_failures_name_the_call(runtime):
    with pytest.raises(EngineError, match="cudaFree"):
        Cuda(runtime).free(12345)


@pytest.mark.parametrize("name", ["tensorrt", "rtx"])
@pytest.mark.parametrize("cuda_graphs", [True, False])
def test_every_run_of_every_shape_gets_its_own_numbers(runtime, name, cuda_graphs, tmp_path):
    cache = RuntimeCache(tmp_path / "cache") if name == "rtx" else None
    running, engine = session(runtime, name, cuda_graphs=cuda_graphs, cache=cache)
    for step, batch in enumerate([1, 4, 8, 4, 1, 8, 8, 2, 1, 4]):
        x = numbers(batch, 100 * step)
        np.testing.assert_array_equal(running.run({"x": x})["y"], 2 * x)
    assert len(engine.contexts) == 4
    assert {(context.profile, context.shape[0]) for context in engine.contexts} == {
        (0, 1),
        (1, 2),
        (1, 4),
        (1, 8),
    }
    captures = runtime.count("capture")
    assert captures > 0 if (cuda_graphs and name == "tensorrt") else captures == 0


def test_a_shape_is_captured_at_its_second_run_and_launched_from_then_on(runtime):
    running, engine = session(runtime)
    calls = []
    for step in range(4):
        running.run({"x": numbers(4, step)})
        calls.append((engine.enqueued, runtime.count("capture"), runtime.count("launch")))
    # The second count of `enqueued` is the one that is recorded.
    assert calls == [(1, 0, 0), (2, 1, 1), (2, 1, 2), (2, 1, 3)]


def test_a_graph_is_dropped_when_an_address_changes(runtime):
    running, _ = session(runtime)
    for step in range(3):
        running.run({"x": numbers(2, step)})
    running.run({"x": numbers(8)})  # grows the buffers, so the graph of 2 holds memory that is gone
    for step in range(3):
        x = numbers(2, 50 + step)
        np.testing.assert_array_equal(running.run({"x": x})["y"], 2 * x)
    assert runtime.count("capture") == 2
    assert len(runtime.graphs) == 1


def test_what_cannot_be_captured_runs_without_a_graph(runtime):
    running, _ = session(runtime, capturable=False)
    for step in range(3):
        np.testing.assert_array_equal(running.run({"x": numbers(4, step)})["y"], 2 * numbers(4, step))
    assert (runtime.count("capture"), runtime.count("launch")) == (1, 0)


def test_intermediates_of_one_engine_are_read_by_the_next_on_the_device(runtime):
    first, _ = session(runtime)
    second, _ = session(runtime)
    stream = first.open_stream()
    y = first.run_device(first.upload({"x": numbers(4)}, stream), stream)["y"]
    with pytest.raises(MGHFTError, match=re.escape("must be float16 [any, 3], not float32 [4, 3]")):
        second.run_device({"x": y}, stream)
    x = first.upload({"x": numbers(4)}, stream)["x"]
    found = second.download(second.run_device({"x": x}, stream), stream)["y"]
    np.testing.assert_array_equal(found, 2 * numbers(4))


def test_another_stream_waits_for_the_one_before(runtime):
    running, _ = session(runtime)
    one, two = running.open_stream(), running.open_stream()
    outputs = running.run_device(running.upload({"x": numbers(4)}, one), one)
    running.upload({"x": numbers(4, 7)}, two)  # into the memory that the first run reads
    two.synchronize()
    np.testing.assert_array_equal(running.download(outputs, one)["y"], 2 * numbers(4))


def test_contexts_are_bounded_and_closing_gives_everything_back(runtime):
    engine = Engine(runtime, profiles=[((1, 3), (4, 3), (64, 3))])
    running = EngineSession(
        b"plan", "x.engine", backend=stand_in_backend("tensorrt", engine), cuda=Cuda(runtime)
    )
    for batch in range(MOST_CONTEXTS + 4, 0, -1):
        for _ in range(2):
            running.run({"x": numbers(batch)})
    assert len(runtime.graphs) == MOST_CONTEXTS
    running.close()
    assert not runtime.live
    assert not runtime.graphs
    assert not runtime.events


def test_a_session_nobody_holds_gives_its_memory_back(runtime):
    running, _ = session(runtime)
    running.run({"x": numbers(4)})
    del running, _
    gc.collect()
    assert not runtime.live


def test_batches_outside_the_profiles_are_named(runtime):
    running, _ = session(runtime)
    with pytest.raises(EngineError, match="no profile for x 9x3, it takes 1x3 to 1x3 or 2x3 to 8x3"):
        running.run({"x": numbers(9)})
    assert running.batch_sizes({"x": (9, 3)}) == (range(2, 9), range(1, 2))


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({}, "'x' is missing"),
        ({"x": numbers(1), "z": numbers(1)}, "'z' is not known"),
        ({"x": numbers(1).astype(np.int64)}, "must be float16"),
        ({"x": np.zeros((1, 4), np.float32)}, r"\[any, 3\], not"),
    ],
)
def test_wrong_feeds_are_named(runtime, feeds, words):
    running, _ = session(runtime)
    with pytest.raises(MGHFTError, match=words):
        running.run(feeds)


def test_an_engine_that_does_not_load_says_what_tensorrt_said(runtime, tmp_path):
    path = tmp_path / "vision.engine"
    backend = stand_in_backend("tensorrt", Engine(runtime))
    with pytest.raises(EngineError, match="cannot be read"):
        load_engine(path, backend=backend, cuda=Cuda(runtime))
    path.write_bytes(b"of another version")
    with pytest.raises(EngineError, match=r"version tag does not match.*mghft-export trt"):
        load_engine(path, backend=backend, cuda=Cuda(runtime))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (
            "context",
            r"no execution context can be made for the engine \(the reason for the context\), most likely",
        ),
        ("shape", r"TensorRT refuses x \[4, 3\] \(the reason for the shape\); build the engine again"),
        ("run", r"TensorRT could not queue the engine \(the reason for the run\); build it again"),
    ],
)
def test_what_tensorrt_says_of_a_run_is_passed_on(runtime, what, words):
    running, engine = session(runtime)
    engine.refuses = [what]
    with pytest.raises(EngineError, match=words):
        running.run({"x": numbers(4)})
    np.testing.assert_array_equal(running.run({"x": numbers(4)})["y"], 2 * numbers(4))


def test_what_tensorrt_said_earlier_is_not_the_reason(runtime):
    running, engine = session(runtime)
    running.run({"x": numbers(4)})
    engine.refuses = ["run"]
    running.run({"x": numbers(4)})  # cannot be captured, for this reason, and runs
    engine.refuses, engine.gives_reasons = ["run"], False
    with pytest.raises(EngineError, match="no reason given"):
        running.run({"x": numbers(4)})


def test_an_engine_without_weights_gets_those_of_its_graph(runtime, tmp_path):
    _, engine = session(runtime, weights=b"of the vision branch")
    assert engine.weights == b"of the vision branch"
    with pytest.raises(EngineError, match=r"weights of the bundle cannot be put .*other names"):
        session(runtime, weights=b"of the text branch")
    # As the commands load it, from a file.
    path, engine = tmp_path / "vision.engine", Engine(runtime)
    path.write_bytes(b"plan")
    load_engine(
        path,
        backend=stand_in_backend("tensorrt", engine),
        cuda=Cuda(runtime),
        weights=b"of the vision branch",
    )
    assert engine.weights == b"of the vision branch"


def test_the_bytes_that_are_loaded_have_the_hash(runtime, tmp_path):
    path = tmp_path / "vision.engine"
    path.write_bytes(b"plan")
    backend = stand_in_backend("tensorrt", Engine(runtime))
    load_engine(path, backend=backend, cuda=Cuda(runtime), sha256=hashlib.sha256(b"plan").hexdigest())
    with pytest.raises(EngineError, match="was changed while it was loaded"):
        load_engine(path, backend=backend, cuda=Cuda(runtime), sha256="0" * 64)


def test_compiled_kernels_are_kept_on_disk(runtime, tmp_path):
    path = tmp_path / "kernels" / "vision"
    running, engine = session(runtime, "rtx", cache=RuntimeCache(path))
    assert engine.config.cuda_graph_strategy == "whole"
    running.run({"x": numbers(1)})
    running.close()
    assert path.read_bytes() == b"compiled:kernel"
    running, engine = session(runtime, "rtx", cache=RuntimeCache(path))
    assert engine.config.cache.content == b"compiled:kernel"
    path.write_bytes(b"of another driver")
    running, engine = session(runtime, "rtx", cache=RuntimeCache(path))
    assert engine.config.cache.content == b"compiled:"
    running.run({"x": numbers(1)})
    running.close()
    assert path.read_bytes() == b"compiled:kernel"
