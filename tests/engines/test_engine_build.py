"""Building: what is written, what a stop or a failure leaves, and what short memory does."""

from __future__ import annotations

import json
import signal

import pytest

from mghft_export.engines import build
from mghft_export.engines.build import build_engines
from mghft_export.engines.build_errors import EngineMemoryError
from mghft_export.engines.build_info import read_build_info
from mghft_export.engines.layers import read_layers
from mghft_export.engines.loading import engine_folders
from mghft_export.engines.profiles import ProfileChoice, Span
from mghft_export.engines.progress import Phases
from mghft_export.errors import EngineError
from mghft_export.hashing import sha256


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


def test_a_stopped_first_build_leaves_nothing(bundle, plan):
    with pytest.raises(KeyboardInterrupt):
        build_engines(plan(bundle, "fusion"), lambda *_: signal.raise_signal(signal.SIGINT))
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
    profiles = (ProfileChoice(Span(1, 1, 2)), ProfileChoice(Span(1, 20, 40)))
    info = build_engines(plan(bundle, "fusion", profiles=profiles), on_warning=said.append)
    assert len(said) == 2
    assert "--batch 1,1,2 and 1,10,10" in said[-1]
    assert [shapes["text_features"][2][0] for shapes in info.engines["fusion"].profiles] == [2, 10]
    assert "--batch 1,1,2 --batch 1,10,10" in info.command


@pytest.mark.usefixtures("short_of_memory")
def test_a_batch_that_must_be_large_is_not_halved(bundle, plan):
    with pytest.raises(EngineMemoryError):
        build_engines(plan(bundle, "fusion", profiles=(ProfileChoice(Span(32, 32, 32)),)))


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
