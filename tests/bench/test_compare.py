"""Rows are measured in their own processes; the statistics see a slow row, and a row that fails stands alone."""

import os
import time
import warnings

import numpy as np
import psutil
import pytest

from mghft_export.bench import worker
from mghft_export.bench.compare import compare
from mghft_export.bench.statistics import latency, speed_up
from mghft_export.bench.subjects import Gemm, Subject
from mghft_export.bench.worker import RowFailed, Worker
from mghft_export.cli.bench import bench
from mghft_export.cli.main import run
from mghft_export.errors import MGHFTError


def test_latency_statistics():
    result = latency([[0.010], [0.020], [0.030], [0.040]], batch=8)
    assert result.median == pytest.approx(25)
    assert result.minimum == pytest.approx(10)
    assert result.stickers_per_second == pytest.approx(320)
    assert result.variation == pytest.approx(np.std([1, 2, 3, 4]) / 2.5)


def test_speed_up_compares_runs_of_the_same_round():
    """A drift that doubles every time halfway leaves the ratio alone."""
    drift = np.array([1.0] * 10 + [2.0] * 10)
    gain = speed_up(drift * 3, drift)
    assert (gain.low, gain.median, gain.high) == (3, 3, 3)


def test_speed_up_interval_widens_with_noise():
    rng = np.random.default_rng(0)
    quiet = speed_up(3 + 0.01 * rng.standard_normal(20), np.ones(20))
    noisy = speed_up(3 + 0.5 * rng.standard_normal(20), np.ones(20))
    assert noisy.high - noisy.low > 5 * (quiet.high - quiet.low)


def test_a_slow_row_is_seen_to_be_slow(fake_rows):
    fake_rows(slow=lambda: time.sleep(0.05), fast=lambda: time.sleep(0.01))
    slow, fast = compare(["slow", "fast"], iterations=5)
    assert slow.speed_up is None
    assert 3 < fast.speed_up.median < 5.5
    assert fast.latency.median == pytest.approx(10, rel=0.3)


def test_a_row_that_takes_too_long_sits_out(fake_rows):
    fake_rows(slow=lambda: time.sleep(0.1), fast=lambda: time.sleep(0.01))
    slow, fast = compare(["slow", "fast"], iterations=6, limit=0.25)
    assert (slow.latency.iterations, fast.latency.iterations) == (3, 6)
    assert 5 < fast.speed_up.median < 11


def test_a_row_that_dies_does_not_take_the_others_along(fake_rows):
    def fails():
        raise MemoryError("no room for the attention maps")

    fake_rows(good=lambda: time.sleep(0.01), dies=lambda: os._exit(9), fails=fails)
    good, dies, fails_row = compare(["good", "dies", "fails"], iterations=2)
    assert good.latency.iterations == 2
    assert "process ended (exit code 9)" in dies.failure
    assert "MemoryError: no room" in fails_row.failure


def test_a_row_that_exhausts_memory_is_stopped_and_the_others_go_on(fake_rows):
    def hoards():
        held = []
        while True:
            held.append(np.ones(2**23, np.uint8))
            time.sleep(0.005)

    fake_rows(good=lambda: time.sleep(0.01), hoards=hoards)
    # These rows are forks of this process, and begin with its memory.
    most = psutil.Process().memory_info().rss + 10**9
    good, hoarding = compare(["good", "hoards"], iterations=2, memory=most)
    assert good.latency is not None
    assert f"needs more than the {most / 1e9:.1f} GB" in hoarding.failure


def test_a_row_without_room_beside_the_others_runs_after_them(fake_rows, tmp_path):
    """The first attempt dies for want of memory; the second, alone, has it."""
    tried = tmp_path / "tried"

    def crowded():
        if not tried.exists():
            tried.touch()
            raise MemoryError("no room")

    fake_rows(good=lambda: time.sleep(0.005), crowded=crowded)
    good, late = compare(["good", "crowded"], iterations=2)
    assert (good.alone, late.alone) == (False, True)
    assert late.failure is None
    assert late.latency.iterations == 2


def test_a_row_runs_as_long_as_asked_and_at_least_once_a_round(fake_rows):
    fake_rows(short=lambda: time.sleep(0.01), long=lambda: time.sleep(0.1))
    short, long = compare(["short", "long"], iterations=4, duration=0.2)
    assert long.latency.iterations == 4
    assert len(short.round_ms) == 4
    assert short.latency.iterations > 8
    assert short.warm_up.runs > long.warm_up.runs > 1


def test_what_libraries_write_is_not_on_the_terminal(fake_rows, capfd):
    def noisy():
        print("a line in Python's output")
        os.write(1, b"a line of a library\n")
        os.write(2, b"a warning of a library\n")
        warnings.warn("a warning in Python", stacklevel=1)

    fake_rows(noisy=noisy)
    (row,) = compare(["noisy"], iterations=1)
    assert (row.failure, row.said) == (None, None)
    assert capfd.readouterr() == ("", "")


def test_what_a_row_wrote_is_kept_where_nobody_foresaw_its_end(fake_rows):
    def breaks():
        os.write(2, b"the weights are gone\n")
        raise KeyError("weights")

    def dies():
        os.write(2, b"the disk is gone\n")
        os._exit(7)

    def says():
        os.write(2, b"a warning\n")
        raise MGHFTError("there is no such provider")

    fake_rows(breaks=breaks, dies=dies, says=says)
    broken, dead, known = compare(["breaks", "dies", "says"], iterations=1)
    assert "the weights are gone" in broken.said
    assert "KeyError: 'weights'" in broken.said.splitlines()[-1]
    assert dead.said == "the disk is gone"
    assert (known.failure, known.said) == ("there is no such provider", None)


def test_nothing_is_left_of_what_rows_wrote(fake_rows, monkeypatch, tmp_path):
    monkeypatch.setattr(worker.tempfile, "tempdir", str(tmp_path))
    fake_rows(good=lambda: None, dies=lambda: os._exit(7))
    compare(["good", "dies"], iterations=1)
    assert list(tmp_path.iterdir()) == []


def test_who_watches_is_told_what_rows_do(fake_rows):
    fake_rows(row=lambda: time.sleep(0.01))
    steps = []
    compare(["row"], iterations=2, on_step=steps.append)
    assert [step.state for step in steps] == ["loads", "warms up", "runs", "runs", "ended"]
    assert [step.rounds for step in steps] == [0, 0, 0, 1, 2]
    assert steps[0].median_ms is None
    assert all(step.median_ms >= 10 for step in steps[2:])


def test_a_row_that_hangs_is_given_up(fake_rows):
    fake_rows(hangs=lambda: time.sleep(60))
    with Worker("hangs", timeout=0.5) as hanging:
        hanging.load()
        with pytest.raises(RowFailed, match="no answer within"):
            hanging.burst()


def test_peak_memory_is_the_rows_own():
    with Worker(Gemm("onnxruntime", 1)) as gemm:
        gemm.load()
        gemm.burst()
        assert 20e6 < gemm.loaded_bytes <= gemm.peak_bytes() < 2e9


@pytest.mark.parametrize("part", ["vision", "vision+fusion", "text", "whole", "pipeline"])
def test_every_part_of_a_bundle_runs_in_onnx_runtime(tiny_bundle, part):
    from mghft_export.bench.prepare import prepare

    once = prepare(Subject(tiny_bundle, "onnxruntime", part, 2, 1))
    once()
    assert len(once())


@pytest.mark.parametrize(
    ("implementation", "part", "mode"),
    [
        ("as-released", "pipeline", "autocast"),
        ("fused", "pipeline", "eager"),
        ("as-released", "vision", "eager"),
        ("fused", "text", "autocast"),
        ("fused", "vision+fusion", "compile-bf16"),
    ],
)
def test_rows_of_pytorch_run(tiny_bundle, implementation, part, mode):
    pytest.importorskip("torch")
    from mghft_export.bench.prepare import prepare

    once = prepare(Subject(tiny_bundle, implementation, part, 2, 1, mode=mode))
    once()
    output = once()
    if part == "pipeline":
        assert output[0].shape == (2, 7)
        assert output[0].sum(dim=1).tolist() == pytest.approx([1, 1], abs=1e-2)


def test_a_bad_command_is_one_sentence(tiny_bundle, capsys):
    assert run(bench, [str(tiny_bundle), "--precision", "fp9"]) == 2
    assert "it has fp32" in capsys.readouterr().err
    assert run(bench, [str(tiny_bundle), "--lengths", "16"]) == 2
    assert "--part text" in capsys.readouterr().err


def test_command_without_a_bundle_is_one_sentence(tmp_path, capsys):
    assert run(bench, [str(tmp_path / "nowhere")]) == 2
    assert "is not a bundle" in capsys.readouterr().err
