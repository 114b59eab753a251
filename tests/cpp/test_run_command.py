"""`mghft-run`: what it prints, and what it says when something is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cpp.conftest import call
from PIL import Image

from mghft_export.bench.records import read_record
from mghft_export.bench.text_forms import as_csv, as_markdown
from mghft_export.bundle import load_bundle
from mghft_export.cli.bench import bench
from mghft_export.cli.bench_tables import comparison_tables
from mghft_export.cli.main import cli
from mghft_export.cli.main import run as run_command
from mghft_export.cpu_features import cpu_flags
from mghft_export.errors import BundleError
from mghft_export.evaluation.verification.precision_warning import saturation_warning
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.image import open_sticker


@pytest.fixture
def sticker(small_set: Path) -> Path:
    return small_set / "Images" / "noto" / "2620.png"


def refused(programs, *arguments: object) -> str:
    """The one sentence, after `error: `, of a command that has to end with 2."""
    found = call(programs.run, *arguments, status=2)
    assert found.stdout == ""
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1
    return found.stderr.removeprefix("error: ").strip()


def test_predict_prints_a_table(programs, tiny_bundle, sticker):
    found = call(programs.run, "predict", tiny_bundle, sticker, sticker, "--text", "a cat")
    lines = found.stdout.splitlines()
    assert lines[0].startswith("UNTRAINED")
    assert lines[1].split() == [
        "sticker",
        "emotion",
        *json.loads((tiny_bundle / "manifest.json").read_text())["class_names"],
    ]
    assert [line.split()[0] for line in lines[3:]] == ["2620.png", "2620.png"]


def test_without_texts_it_judges_images_as_python_does(programs, no_text_bundle, tiny_bundle, sticker):
    found = call(programs.run, "predict", no_text_bundle, sticker, sticker, "--json", "--logits")
    assert "the images alone are judged" in found.stderr
    pipeline = Pipeline(load_bundle(no_text_bundle))
    pixels = pipeline.preprocess([open_sticker(sticker)])
    rows = [json.loads(line)["logits"] for line in found.stdout.splitlines()]
    assert np.allclose(rows, np.repeat(pipeline.logits(pixels, [""]), 2, axis=0), atol=1e-4)
    some = ("--text", "a cat", "--text", " ", "--json", "--logits")
    mixed = call(programs.run, "predict", no_text_bundle, sticker, sticker, *some)
    first, second = (json.loads(line)["logits"] for line in mixed.stdout.splitlines())
    assert np.allclose(first, pipeline.logits(pixels, ["a cat"])[0], atol=1e-4)
    assert np.allclose(second, rows[0], atol=1e-6)
    assert "with either --text or --text-file" in refused(programs, "predict", tiny_bundle, sticker)


def test_broken_images_are_named_and_left_out(programs, tiny_bundle, sticker, tmp_path):
    (tmp_path / "x.png").write_text("no image")
    found = call(
        programs.run, "predict", tiny_bundle, tmp_path / "x.png", sticker, "--text", "a", "--json", status=1
    )
    assert [json.loads(line)["image"] for line in found.stdout.splitlines()] == [str(sticker)]
    assert "x.png cannot be read as an image" in found.stderr


def test_how_much_is_decoded_has_a_bound_as_in_python(programs, tiny_bundle, tmp_path, capsys):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    command = ["predict", tiny_bundle, path, "--text", "a", "--max-pixels"]
    assert call(programs.run, *command, 2 * 64, "--json").stdout
    for most, said in ((2 * 64 - 1, "number 1 of 3 within 127 pixels"), (63, "at most 63 pixels")):
        found = call(programs.run, *command, most, status=1).stderr
        assert said in found
        assert run_command(cli, [str(word) for word in (*command, most)]) == 1
        assert capsys.readouterr().err == found
    assert "--max-pixels" in refused(programs, *command, 0)
    assert run_command(cli, [str(word) for word in (*command, 0)]) == 2


def test_misuse_is_one_sentence(programs, tiny_bundle, sticker, tmp_path):
    run = ("predict", tiny_bundle, sticker)
    assert "with either --text or --text-file" in refused(programs, *run)
    assert "2 texts for 1 images" in refused(programs, *run, "--text", "a", "--text", "b")
    assert "the sticker's text is empty" in refused(programs, *run, "--text", " ")
    assert "not valid UTF-8" in refused(programs, *run, "--text", b"\xff".decode(errors="surrogateescape"))
    assert "has no fp8 graphs" in refused(programs, *run, "--text", "a", "--precision", "fp8")
    said = refused(programs, *run, "--text", "a", "--provider", "tpu")
    assert "provider 'tpu' is not known; use one of cpu, openvino, openvino-bf16, cuda, tensorrt" in said
    assert "there are no engines 'e'" in refused(programs, *run, "--text", "a", "--engine", "e")
    assert "leave out one of the two" in refused(
        programs, *run, "--text", "a", "--engine", "e", "--precision", "fp16"
    )
    assert "not both" in refused(programs, *run, "--text", "a", "--text-features", "f.npz")
    assert "there are no text features at" in refused(programs, *run, "--text-features", tmp_path / "f.npz")
    assert "there is no text file at" in refused(programs, *run, "--text-file", tmp_path / "f.txt")
    assert "is not a bundle" in refused(programs, "info", tmp_path)
    (tmp_path / "best.pth").touch()
    said = refused(programs, "info", tmp_path / "best.pth")
    with pytest.raises(BundleError) as caught:
        load_bundle(tmp_path / "best.pth")
    assert said == str(caught.value)
    assert f"onnx {tmp_path}/best.pth -o {tmp_path}/best-bundle" in said
    assert "--help" in refused(programs, "predict")
    assert "--help" in refused(programs, "nothing")
    assert "has no precision 'fp8'" in refused(programs, "bench", tiny_bundle, "--precision", "fp8")


@pytest.mark.parametrize("made", [{}, {"sums_in_16_bits": False}, {"sums_in_16_bits": True}])
def test_int8_of_an_earlier_version_is_warned_of_as_python_does(
    programs, quantised_tiny_bundle, sticker, tmp_path, made
):
    bundle = tmp_path / "bundle"
    shutil.copytree(quantised_tiny_bundle, bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["quantization"]["int8"].pop("sums_in_16_bits", None)
    manifest["quantization"]["int8"] |= made
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    for precision in ("fp32", "int8"):
        expected = saturation_warning(load_bundle(bundle).manifest, precision, cpu_flags())
        said = f"warning: {expected}\n" if expected else ""
        run = ("predict", bundle, sticker, "--text", "a", "--precision", precision)
        assert call(programs.run, *run).stderr == said
        options = ("--precision", precision, "--part", "vision", "--iterations", 1, "--duration", 0)
        assert call(programs.run, "bench", bundle, *options).stderr == said


def test_text_features_of_another_model_are_refused(programs, tiny_bundle, sticker, tmp_path):
    numpy = pytest.importorskip("numpy")
    rows = {"names": numpy.array([""]), "features": numpy.zeros((1, 4, 32), "f4")}
    numpy.savez(tmp_path / "f.npz", **rows, text_branch=numpy.array("another"))
    said = refused(programs, "predict", tiny_bundle, sticker, "--text-features", tmp_path / "f.npz")
    assert "was made with another bundle's text branch" in said
    (tmp_path / "g.npz").write_bytes((tmp_path / "f.npz").read_bytes()[:-50])
    said = refused(programs, "predict", tiny_bundle, sticker, "--text-features", tmp_path / "g.npz")
    assert "holds no text features" in said


def test_changed_and_incomplete_bundles_are_refused(programs, tiny_bundle, sticker, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    graph = bundle / "fp32" / "fusion.onnx"
    content = bytearray(graph.read_bytes())
    content[100] ^= 1
    graph.write_bytes(content)
    run = ("predict", bundle, sticker, "--text", "a")
    assert "fusion.onnx was changed after the export" in refused(programs, *run)
    graph.unlink()
    assert "fusion.onnx is missing from the bundle" in refused(programs, *run)
    (bundle / "manifest.json").write_text('{"schema_version": 9}')
    assert "has schema version 9, this program reads 1" in refused(programs, *run)
    (bundle / "manifest.json").write_text("{")
    assert "is damaged (is not JSON)" in refused(programs, *run)


def test_info_as_json(programs, tiny_bundle):
    found = json.loads(call(programs.run, "info", tiny_bundle, "--json").stdout)
    manifest = json.loads((tiny_bundle / "manifest.json").read_text())
    assert found["class_names"] == manifest["class_names"]
    assert found["image"] == {"height": 96, "width": 96}
    assert found["precisions"] == list(manifest["precisions"])
    assert found["text"]["max_length"] == 64
    assert "fp32" in call(programs.run, "info", tiny_bundle).stdout


def test_bench_writes_what_mghft_bench_reads(programs, tiny_bundle, tmp_path):
    output = tmp_path / "out.json"
    options = ("--batch", 2, "--iterations", 2, "--duration", 0.02, "-o", output)
    parts = [
        word for part in ("vision", "vision+fusion", "text", "whole", "pipeline") for word in ("--part", part)
    ]
    found = call(programs.run, "bench", tiny_bundle, *parts, *options)
    assert "mghft-run fp32" in found.stdout
    record = read_record(output)
    assert [comparison.part for comparison in record.comparisons] == parts[1::2]
    for comparison in record.comparisons:
        (row,) = comparison.rows
        assert row.failure is None
        assert row.latency.iterations >= 2
        assert row.latency.stickers_per_second == pytest.approx(2e3 / row.latency.median)
        assert row.latency.minimum <= row.latency.median <= row.latency.p99
        assert list(comparison_tables(comparison))
    assert as_csv([record]).count("mghft-run fp32") == 5
    assert as_markdown([record])


def test_mghft_bench_has_rows_of_the_program(programs, quantised_tiny_bundle, tmp_path):
    bundle, output = tmp_path / "bundle", tmp_path / "out.json"
    shutil.copytree(quantised_tiny_bundle, bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["text"]["pooling"] = "masked"  # so that texts are as long as they are
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    options = [
        "--runner",
        str(programs.run),
        "--only",
        "onnxruntime",
        "--only",
        "mghft-run",
        "--provider",
        "cpu",
    ]
    options += ["--iterations", "2", "--duration", "0.02", "--precision", "fp32", "--precision", "int8"]
    parts = ("vision", "vision+fusion", "text", "whole", "pipeline")
    for part in parts:
        options += ["--part", part]
    assert run_command(bench, [str(bundle), *options, "-o", str(output)]) == 0
    for comparison in read_record(output).comparisons:
        assert [row.failure for row in comparison.rows] == [None] * 4
        names = [row.name for row in comparison.rows]
        assert names == ["onnxruntime fp32", "onnxruntime int8", "mghft-run fp32", "mghft-run int8"]
        assert all(row.peak_bytes > 10**7 for row in comparison.rows)
    assert "one part" in refused(programs, "bench", bundle, "--on-request")
    default = Path(__file__).parents[2] / "calibration" / "default"
    command = (
        "bench",
        bundle,
        "--calibration",
        default,
        "--part",
        "text",
        "--iterations",
        1,
        "--duration",
        0,
    )
    alone = json.loads(call(programs.run, *command, "--json").stdout)
    assert alone["comparisons"][0]["tokens"] == read_record(output).comparisons[2].tokens


def test_bench_takes_a_calibration_set(programs, tiny_bundle, tmp_path):
    stickers = Path(__file__).parents[2] / "calibration" / "default"
    options = ("--iterations", 1, "--duration", 0.01, "--part", "pipeline", "--json")
    found = call(programs.run, "bench", tiny_bundle, "--calibration", stickers, *options)
    assert json.loads(found.stdout)["flags"]["stickers"] == str(stickers)
    assert "is no calibration set" in refused(programs, "bench", tiny_bundle, "--calibration", tmp_path)
