"""`--budget` bounds the whole command; what was measured before it ended is shown and kept."""

import json

import pytest

from mghft_export.bench import measure as measuring
from mghft_export.bench.subjects import Subject
from mghft_export.bench.time_budget import COMPARISON_SECONDS, LEAST_SHARE, default_seconds, share
from mghft_export.cli import bench as command
from mghft_export.cli.bench import bench
from mghft_export.cli.main import run

ROWS = ["--only", "onnxruntime", "--provider", "cpu", "--part", "vision", "--threads", "1", "--duration", "0"]


def test_comparisons_share_what_is_left():
    assert share(600, 3) == 200
    assert share(500, 2) == 250  # the first one needed less
    assert share(3 * LEAST_SHARE, 12) == LEAST_SHARE  # some have a result, rather than none
    assert share(5, 12) == 5
    assert share(0.2, 3) == share(-4, 3) == 0


def test_a_default_run_has_150_seconds():
    rows = [Subject(None, "fused", part, 32, 2, provider="cuda") for part in ("vision+fusion", "pipeline")]
    assert default_seconds([rows[:1], rows[1:]], gpu=False) == 2 * COMPARISON_SECONDS == 150
    assert default_seconds([rows], gpu=True) > COMPARISON_SECONDS


def test_what_was_measured_is_kept_when_the_budget_ends(tiny_bundle, tmp_path, monkeypatch, capsys):
    """The first batch takes all of it; the second is named with the reason."""
    monkeypatch.setattr(measuring, "share", lambda left, comparisons: left if comparisons == 2 else 0.0)
    output = tmp_path / "out.json"
    options = ["--batches", "1,2", "--iterations", "2", "--budget", "60", "-o", str(output)]
    assert run(bench, ["sweep", str(tiny_bundle), *ROWS, *options]) == 0
    first, second = json.loads(output.read_text())["comparisons"]
    assert first["rows"][0]["latency"]["iterations"] == 2
    assert second["rows"][0]["failure"] == "the budget was spent before; --budget gives more"
    said = capsys.readouterr().out
    assert "vision, batch 1, " in said
    assert "vision, batch 2: not run (the budget was spent before" in said


def test_a_result_is_in_the_file_before_the_next_comparison(tiny_bundle, tmp_path, monkeypatch):
    output = tmp_path / "out.json"
    compare, calls = command.compare, []

    def interrupted(*arguments, **options):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return compare(*arguments, **options)

    monkeypatch.setattr(command, "compare", interrupted)
    options = ["--batches", "1,2", "--iterations", "2", "-o", str(output)]
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        raise SystemExit(run(bench, ["sweep", str(tiny_bundle), *ROWS, *options]))
    (kept,) = json.loads(output.read_text())["comparisons"]
    assert kept["batch"] == 1


def test_no_budget_is_valid_json(tiny_bundle, tmp_path):
    output = tmp_path / "out.json"
    options = ["--iterations", "1", "--budget", "inf", "-o", str(output)]
    assert run(bench, [str(tiny_bundle), *ROWS, *options]) == 0
    assert json.loads(output.read_text())["flags"]["budget"] is None
    assert "Infinity" not in output.read_text()


def test_precisions_that_are_named_run_on_every_cpu(quantised_tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "cpu_flags", lambda: frozenset({"avx2"}))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    output = tmp_path / "out.json"

    def rows(*options):
        assert (
            run(bench, [str(quantised_tiny_bundle), *ROWS, "--iterations", "1", "-o", str(output), *options])
            == 0
        )
        (comparison,) = json.loads(output.read_text())["comparisons"]
        return {row["name"]: row for row in comparison["rows"]}

    left_out = rows()["onnxruntime fp16"]
    assert left_out["left_out"]
    assert left_out["failure"] == "ONNX Runtime only emulates FP16 on this CPU: --all runs it"
    assert rows("--precision", "fp16")["onnxruntime fp16"]["latency"] is not None
    assert rows("--all")["onnxruntime fp16"]["latency"] is not None
