"""The commands as functions: a checkpoint becomes a bundle, is verified, evaluated and built into engines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import mghft_export as mghft
from mghft_export.bundle import load_bundle
from mghft_export.bundle.recorded_verifications import recorded_verification
from mghft_export.precision.calibration_run import PrecisionOptions

torch = pytest.importorskip("torch")

from mghft_export.model.checkpoint import save_checkpoint  # noqa: E402

NAMES = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_export(tiny_model, small_set, tmp_path):
    save_checkpoint(tmp_path / "tiny.safetensors", tiny_model, NAMES)
    steps, stickers = [], []
    done = mghft.export(
        tmp_path / "tiny.safetensors",
        tmp_path / "bundle",
        precisions=["int8"],
        data=small_set,
        calibration=PrecisionOptions(stickers=2, cache=tmp_path / "cache"),
        on_step=steps.append,
        on_stickers=lambda done, count: stickers.append((done, count)),
    )
    assert done.bundle.root == tmp_path / "bundle"
    assert done.verification.passed
    assert set(done.precisions) == {"int8", "int8-fp16"}
    assert steps[0] == "reading the checkpoint"
    assert "verifying int8, int8-fp16" in steps
    assert stickers[-1][0] == stickers[-1][1]
    assert recorded_verification(done.bundle.manifest, "int8") == done.precisions["int8"]
    assert mghft.load(done.bundle, precision="int8").precision == "int8"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"precisions": ["fp8"]}, "no precision 'fp8'; choose among fp32, fp16, int8, int8-fp16"),
        ({"random_weights": "huge"}, "no architecture 'huge'; choose one of paper"),
        ({"checkpoint": "nothing.pth"}, "nothing.pth"),
    ],
)
def test_export_refuses(tmp_path, arguments, words):
    with pytest.raises(mghft.MGHFTError, match=words):
        mghft.export(output=tmp_path / "bundle", verify=False, **arguments)
    assert not (tmp_path / "bundle").exists()


@pytest.fixture
def bundle(tiny_bundle, tmp_path):
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


def test_build_engines_verify_and_evaluate(bundle, small_set):
    pytest.importorskip("tensorrt_rtx")
    warned, phases = [], []
    built = mghft.build_engines(
        bundle,
        "fp16",
        backend="rtx",
        targets=["sm86", "sm89"],
        branches=["fusion"],
        batches=[(1, 1, 2), (1, 8, 16)],
        on_progress=lambda branch, phase, done: phases.append((branch, done)),
        on_warning=warned.append,
    )
    assert built.folder.name == "rtx-sm86-sm89-fp16"
    assert built.info.engines["fusion"].attentions.fused == 3
    assert len(built.info.engines["fusion"].profiles) == 2
    assert set(built.added) == {"fp16"}, "the graphs were made first"
    assert {branch for branch, _ in phases} == {"fusion"}
    assert warned == []

    counted = []
    verified = mghft.verify(bundle, data=small_set, limit=20, on_batch=counted.append)
    assert verified["fp16"].stickers == sum(counted) == 20
    assert recorded_verification(load_bundle(bundle).manifest, "fp16") == verified["fp16"]
    found = mghft.evaluate(bundle, small_set, precision="fp16", split="test")
    assert 0 <= found.metrics.accuracy <= 1
    assert len(found.predictions.labels) == len(found.predictions.stickers) > 10


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda bundle: mghft.verify(bundle), "has only fp32 graphs"),
        (lambda bundle: mghft.verify(bundle, ["fp32"]), "has only fp32 graphs"),
        (lambda bundle: mghft.build_engines(bundle, backend="rtx", batches=[(8, 1, 2)]), "8,1,2 is not minimum"),
        (lambda bundle: mghft.build_engines(bundle, backend="rtx", text_length=(8, 4, 2)), "8,4,2 is not minimum"),
        (lambda bundle: mghft.build_engines(bundle, backend="rtx", targets=["ada"]), "give compute capabilities"),
        (lambda bundle: mghft.build_engines(bundle, "int4", backend="rtx"), "has no int4 graphs"),
        (lambda bundle: mghft.evaluate(bundle, "no data"), "no data"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_sentence(bundle, call, words):
    pytest.importorskip("tensorrt_rtx")
    with pytest.raises(mghft.MGHFTError, match=words):
        call(bundle)
