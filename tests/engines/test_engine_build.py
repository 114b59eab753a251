"""Building: what is written, what a stop or a failure leaves, and what short memory does."""

from __future__ import annotations

import json
import signal

import pytest

from mghft_export.bundle.build_info import GpuEntry, read_build_info, write_build_info
from mghft_export.engines import build
from mghft_export.engines.build import build_engines
from mghft_export.engines.build_errors import EngineMemoryError, NoKernelError, build_error
from mghft_export.engines.engine_layers import read_layers
from mghft_export.engines.gpu import Gpu
from mghft_export.engines.loading import engine_folders, load_engine_folder
from mghft_export.engines.min_opt_max import MinOptMax
from mghft_export.engines.profiles import ProfileChoice
from mghft_export.engines.progress import Phases
from mghft_export.errors import EngineError
from mghft_export.files.hashing import sha256
from mghft_export.stopping import SIGNALS, Stopped


def test_build_json_describes_what_is_there(built_bundle, rtx):
    (folder,) = engine_folders(built_bundle)
    assert folder.name == "rtx-sm86-fp16"
    info = read_build_info(folder)
    assert (info.backend, info.version, info.precision) == ("rtx", rtx.version, "fp16")
    assert (info.targets, info.gpu) == ((86,), None)
    entry = info.engines["fusion"]
    path = folder / entry.file.path
    assert (entry.file.sha256, entry.file.bytes) == (sha256(path), path.stat().st_size)
    assert entry.onnx == built_bundle.manifest.precisions["fp16"]["fusion"].file
    assert entry.profiles[0]["text_features"] == ((1, 4, 64), (8, 4, 64), (32, 4, 64))
    assert entry.layers == len(read_layers(path)) > 20
    assert entry.attentions.fused == entry.attentions.expected == 3
    assert info.command.endswith("--fp16 --backend rtx --batch 1,8,32 --target sm86")


def test_float32_stays_float32_unless_tf32_is_asked_for(full_bundle, plan, rtx, monkeypatch):
    """Polygraphy leaves TF32 as the package has it, which is on, and the token selection hangs on small differences."""
    seen = []

    def record(network, config):
        seen.append(config.get_flag(rtx.trt.BuilderFlag.TF32))

    monkeypatch.setattr(rtx.trt, "Builder", recording_builder(rtx.trt.Builder, record))
    for tf32 in (False, True):
        chosen = plan(full_bundle, "fusion", tf32=tf32)
        with pytest.raises(EngineError, match="no reason"):
            build.build_branch(chosen, chosen.branches[0])
    assert seen == [False, True]


def recording_builder(builder, record):
    """A builder that shows what it is given and builds nothing."""

    class Recording(builder):
        def build_serialized_network(self, network, config):
            record(network, config)

    return Recording


def test_one_branch_more_keeps_the_others_of_the_same_build(bundle, plan):
    first = build_engines(plan(bundle, "fusion"))
    both = build_engines(plan(bundle, "text"))
    assert set(both.engines) == {"fusion", "text"}
    assert both.engines["fusion"] == first.engines["fusion"]
    (folder,) = engine_folders(bundle)
    assert (folder / "fusion.engine").stat().st_size == first.engines["fusion"].file.bytes
    other = build_engines(plan(bundle, "text", tf32=True))
    assert set(other.engines) == {"text"}, "engines of other flags must not be mixed in"


def test_a_damaged_engine_is_left_out(bundle, plan):
    """It would be listed, with its size and its fused attentions, and fail only where it is loaded."""
    chosen = plan(bundle, "fusion")
    build_engines(chosen)
    path = chosen.folder / "fusion.engine"
    path.write_bytes(path.read_bytes()[:-1])
    said = []
    info = build_engines(plan(bundle, "text"), on_warning=said.append)
    assert set(info.engines) == {"text"}
    (sentence,) = said
    assert "fusion.engine was changed after it was built; the fusion engine is left out" in sentence
    assert not path.exists()


def test_engines_of_another_gpu_are_not_kept(bundle, plan):
    """Every Jetson Orin has the same name, so it gives the same folder."""
    chosen = plan(bundle, "fusion")
    info = build_engines(chosen)
    gpu = GpuEntry(name="Orin", sm=87, driver="12.6", multiprocessors=16, memory=2**36)
    write_build_info(chosen.folder, info.model_copy(update={"gpu": gpu}))
    assert set(build_engines(plan(bundle, "text")).engines) == {"text"}


def test_two_builds_at_once_lose_no_engine(bundle, plan):
    """Each takes a while, and each has looked at the folder before the other was done."""
    others = []

    def meanwhile(branch, phase, done):
        if not others:
            others.append(build_engines(plan(bundle, "text")))

    info = build_engines(plan(bundle, "fusion"), meanwhile)
    assert set(others[0].engines) == {"text"}
    assert set(info.engines) == {"fusion", "text"}
    (folder,) = engine_folders(bundle)
    assert {path.name for path in folder.glob("*.engine")} == {"fusion.engine", "text.engine"}
    load_engine_folder(folder, gpu=Gpu("NVIDIA A10", 86, 2**30, "13.0", 72, 2**34))


@pytest.fixture
def heeded():
    """Signals do what they do in a terminal; whoever runs tests in the background has some of them ignored."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_stops_the_build_and_leaves_what_was_there(bundle, plan):
    chosen = plan(bundle, "fusion")
    build_engines(chosen)
    before = (chosen.folder / "build.json").read_bytes()
    steps = []

    def interrupt(branch, phase, done):
        steps.append(done)
        if len(steps) == 20:
            signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        build_engines(chosen, interrupt)
    assert len(steps) < 40, "the builder must stop soon"
    assert (chosen.folder / "build.json").read_bytes() == before
    assert [path.name for path in chosen.folder.parent.iterdir()] == [chosen.folder.name]
    assert signal.getsignal(signal.SIGINT) is handler


def test_what_is_ignored_stays_so(bundle, plan, heeded):
    """As `nohup` wants it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    build_engines(plan(bundle, "fusion"), lambda *_: signal.raise_signal(signal.SIGHUP))
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("number", SIGNALS)
def test_a_stopped_first_build_leaves_nothing(bundle, plan, number):
    with pytest.raises(Stopped) as stopped:
        build_engines(plan(bundle, "fusion"), lambda *_: signal.raise_signal(number))
    assert stopped.value.number == number
    assert not (bundle.root / "engines").exists()


def test_a_failed_build_leaves_nothing(bundle, plan):
    with pytest.raises(EngineError, match="Turing"):
        build_engines(plan(bundle, "fusion", precision="fp32", targets=(75,)))
    assert not (bundle.root / "engines").exists()


@pytest.fixture
def short_of_memory(monkeypatch):
    """A builder that runs out of memory above a batch of 16."""
    real = build.build_branch

    def fail_above_16(plan, item, *arguments):
        if any(most[0] > 16 for shapes in item.profiles for _, _, most in shapes.values()):
            raise EngineMemoryError("out of memory")
        return real(plan, item, *arguments)

    monkeypatch.setattr(build, "build_branch", fail_above_16)


@pytest.mark.usefixtures("short_of_memory")
def test_short_memory_halves_the_batch_and_says_so(bundle, plan):
    said = []
    profiles = (ProfileChoice(MinOptMax(1, 1, 2)), ProfileChoice(MinOptMax(1, 20, 40)))
    info = build_engines(plan(bundle, "fusion", profiles=profiles), on_warning=said.append)
    assert len(said) == 2
    assert "--batch 1,1,2 and 1,10,10" in said[-1]
    assert [shapes["text_features"][2][0] for shapes in info.engines["fusion"].profiles] == [2, 10]
    assert "--batch 1,1,2 --batch 1,10,10" in info.command


@pytest.mark.parametrize("fits", [True, False])
def test_half_the_batch_tells_short_memory_from_a_missing_kernel(bundle, plan, monkeypatch, fits):
    """TensorRT says the same of both; it took five builds to say the wrong thing of the second."""
    real, tried = build.build_branch, []

    def no_kernel(plan, item, *arguments):
        tried.append(item.profiles[0]["text_features"][2][0])
        if len(tried) == 1 or not fits:
            raise build_error(
                ["Could not find any implementation for node conv1."], "x.onnx", "TensorRT 10.3.0"
            )
        return real(plan, item, *arguments)

    monkeypatch.setattr(build, "build_branch", no_kernel)
    said = []
    if fits:
        build_engines(plan(bundle, "fusion"), on_warning=said.append)
    else:
        with pytest.raises(NoKernelError, match=r"found no kernel for a node of x\.onnx .*nothing of memory"):
            build_engines(plan(bundle, "fusion"), on_warning=said.append)
    assert tried == [32, 16]
    assert len(said) == 1
    assert "--batch 1,8,16" in said[0]


@pytest.mark.usefixtures("short_of_memory")
def test_a_batch_that_must_be_large_is_not_halved(bundle, plan):
    with pytest.raises(EngineMemoryError):
        build_engines(plan(bundle, "fusion", profiles=(ProfileChoice(MinOptMax(32, 32, 32)),)))


def test_progress_never_goes_back():
    phases = Phases()
    seen = []
    phases.start("Building engine", None, 2)
    for name in ("Cloning", "Tactics"):
        phases.start(name, "Building engine", 4)
        for step in range(4):
            phases.step(name, step)
            seen.append(phases.fraction())
        phases.finish(name)
        phases.step("Building engine", ("Cloning", "Tactics").index(name))
        seen.append(phases.fraction())
    assert seen == sorted(seen)
    assert seen[1] == 0.25
    assert seen[-1] == 1


def test_build_info_is_plain_json(built_bundle):
    (folder,) = engine_folders(built_bundle)
    values = json.loads((folder / "build.json").read_text())
    assert json.loads(read_build_info(folder).model_dump_json()) == values
