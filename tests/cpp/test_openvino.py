"""`mghft-run --provider openvino`: what ONNX Runtime computes, through OpenVINO."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cpp.conftest import Programs, call
from cpp.stickers import cpp_rows, small_set_stickers

from mghft_export.bench.record import read_record

TOLERANCE = {"fp32": 1e-3, "fp16": 1e-3, "int8": 0.05}
"""Between the logits of two runtimes. Float sums are ordered in another way; a value between two steps of INT8 may be
rounded to the other one."""


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


@pytest.mark.parametrize("precision", TOLERANCE)
def test_logits_are_those_of_onnx_runtime(openvino_programs, quantised_tiny_bundle, stickers, precision):
    options = [*with_texts(stickers), "--precision", precision]
    expected = cpp_rows(openvino_programs, quantised_tiny_bundle, stickers, *options)
    found = cpp_rows(openvino_programs, quantised_tiny_bundle, stickers, *options, "--provider", "openvino")
    print(
        precision,
        np.abs(logits(found) - logits(expected)).max(),
        logits(expected).std(axis=0),
        [a["label"] for a in found] == [a["label"] for a in expected],
    )
    np.testing.assert_allclose(logits(found), logits(expected), rtol=0, atol=TOLERANCE[precision])
    assert logits(expected).std(axis=0).min() > 1e-3  # else equal whatever was read
    assert [row["label"] for row in found] == [row["label"] for row in expected]


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
        logits(found), logits(cpp_rows(openvino_programs, bundle, some, *with_texts(some))), rtol=0, atol=1e-3
    )
    for sticker, row in zip(some, found, strict=True):
        (alone,) = cpp_rows(
            openvino_programs, bundle, [sticker], "--text", sticker[1], "--provider", "openvino"
        )
        np.testing.assert_allclose(alone["logits"], row["logits"], rtol=0, atol=1e-3)


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
    for comparison in record["comparisons"]:
        (row,) = comparison["rows"]
        assert row["failure"] is None
        assert row["name"] == "mghft-run fp32 openvino"
        assert row["subject"]["io_transfers"]  # nothing stays on a device
    assert record["provenance"]["versions"]["openvino"]


def test_a_build_without_it_says_how_to_get_one(programs, tiny_bundle, stickers):
    if programs.openvino:
        pytest.skip("this build has OpenVINO")
    command = ("predict", tiny_bundle, stickers[0][0], "--text", "a", "--provider", "openvino")
    assert "no OpenVINO; build with" in call(programs.run, *command, status=2).stderr
