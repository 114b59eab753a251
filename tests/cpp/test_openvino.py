"""`mghft-run --provider openvino`: what ONNX Runtime computes, through OpenVINO."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cpp.conftest import Programs, call
from cpp.stickers import cpp_rows, small_set_stickers

from mghft_export.bench.records import read_record
from mghft_export.cpu_features import cpu_flags, has_bf16

LIMITS = {"fp32": 2e-3, "fp16": 0.02, "int8": 0.1}
"""Largest difference of a logit from ONNX Runtime's, as a share of the range of all logits. A selection of tokens turns
where two are nearly alike, FP16 is computed in float32, and in INT8 a value between two steps may go to either."""


@pytest.fixture(scope="module")
def stickers(small_set: Path) -> list[tuple[Path, str]]:
    return small_set_stickers(small_set)


@pytest.fixture
def openvino_programs(programs: Programs) -> Programs:
    if not programs.openvino:
        pytest.skip("CMake found no OpenVINO; pip install openvino")
    return programs


def logits(rows: list[dict]) -> np.ndarray:
    return np.array([row["logits"] for row in rows])


def with_texts(stickers: list[tuple[Path, str]]) -> list[str]:
    return [word for _, text in stickers for word in ("--text", text)]


@pytest.mark.parametrize("precision", LIMITS)
def test_logits_are_those_of_onnx_runtime(openvino_programs, quantised_tiny_bundle, stickers, precision):
    options = [*with_texts(stickers), "--precision", precision]
    rows = cpp_rows(openvino_programs, quantised_tiny_bundle, stickers, *options)
    found_rows = cpp_rows(
        openvino_programs, quantised_tiny_bundle, stickers, *options, "--provider", "openvino"
    )
    expected, found = logits(rows), logits(found_rows)
    limit = LIMITS[precision] * np.ptp(expected)
    differences = np.abs(found - expected).max(axis=1)
    assert differences.max() < limit
    if precision == "fp32":  # but for those selections, float sums are the same to the last digits
        assert np.mean(differences < 1e-4) > 0.8
    same = [row["label"] == other["label"] for row, other in zip(rows, found_rows, strict=True)]
    assert np.mean(same) > 0.95  # two classes may be nearly alike, too


def test_bfloat16_runs_where_the_cpu_has_it_and_is_refused_elsewhere(
    openvino_programs, tiny_bundle, stickers
):
    some = stickers[:11]
    options = [*with_texts(some), "--provider", "openvino-bf16"]
    if not has_bf16(cpu_flags()):
        command = ("predict", tiny_bundle, *(image for image, _ in some), *options)
        assert "no instructions for bfloat16" in call(openvino_programs.run, *command, status=2).stderr
        return
    found = logits(cpp_rows(openvino_programs, tiny_bundle, some, *options))
    expected = logits(cpp_rows(openvino_programs, tiny_bundle, some, *with_texts(some)))
    assert 0 < np.abs(found - expected).max() < 0.1 * np.ptp(expected)


def test_texts_of_other_lengths_share_a_batch(openvino_programs, tiny_bundle, stickers, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["text"]["pooling"] = "masked"  # so that texts are as long as they are
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    images = [image for image, _ in stickers[:11]]
    some = [(image, "happy " * (1 + 5 * number)) for number, image in enumerate(images)]
    found = cpp_rows(openvino_programs, bundle, some, *with_texts(some), "--provider", "openvino")
    np.testing.assert_allclose(
        logits(found), logits(cpp_rows(openvino_programs, bundle, some, *with_texts(some))), rtol=0, atol=1e-2
    )


def test_overlap_and_threads_change_nothing(openvino_programs, tiny_bundle, stickers):
    some = stickers[:11]
    options = [*with_texts(some), "--provider", "openvino"]
    plain = cpp_rows(openvino_programs, tiny_bundle, some, *options)
    other = cpp_rows(openvino_programs, tiny_bundle, some, *options, "--overlap", "on", "--threads", 1)
    np.testing.assert_allclose(logits(plain), logits(other), rtol=0, atol=1e-5)


def test_bench_measures_it_and_says_its_version(openvino_programs, tiny_bundle, tmp_path):
    output = tmp_path / "out.json"
    options = ("--provider", "openvino", "--iterations", 1, "--duration", 0.01, "-o", output)
    parts = [word for part in ("vision", "whole", "pipeline") for word in ("--part", part)]
    call(openvino_programs.run, "bench", tiny_bundle, *parts, *options)
    record = read_record(output)
    for comparison in record.comparisons:
        (row,) = comparison.rows
        assert row.failure is None
        assert row.name == "mghft-run fp32 openvino"
        assert row.subject["io_transfers"]  # nothing stays on a device
    assert record.provenance.versions["openvino"]


def test_a_build_without_it_says_how_to_get_one(programs, tiny_bundle, stickers):
    if programs.openvino:
        pytest.skip("this build has OpenVINO")
    command = ("predict", tiny_bundle, stickers[0][0], "--text", "a", "--provider", "openvino")
    assert "no OpenVINO; build with" in call(programs.run, *command, status=2).stderr
