"""Ranges from streamed histograms are those of ONNX Runtime's calibrators, and of numpy."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import onnx
import pytest
from onnx import helper
from onnxruntime.quantization.calibrate import (
    CalibrationDataReader,
    EntropyCalibrater,
    HistogramCollector,
    MinMaxCalibrater,
    PercentileCalibrater,
)

from mghft_export.errors import MGHFTError
from mghft_export.precision.histogram import Histogram
from mghft_export.precision.observe import observe_channel_maxima, observe_histograms, observe_maxima
from mghft_export.precision.ranges import ENTROPY_BINS, QUANTISED_BINS, range_of

TENSORS = ("x", "squared", "product")


def graph():
    """squared = x * x; product = squared * x; y = -product."""
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["squared"]),
        helper.make_node("Mul", ["squared", "x"], ["product"]),
        helper.make_node("Neg", ["product"], ["y"]),
    ]
    shape = ["batch", 8, 16]
    value = helper.make_tensor_value_info
    found = helper.make_graph(
        nodes,
        "tiny",
        [value("x", onnx.TensorProto.FLOAT, shape)],
        [value("y", onnx.TensorProto.FLOAT, shape)],
        value_info=[value(name, onnx.TensorProto.FLOAT, shape) for name in ("squared", "product")],
    )
    return helper.make_model(found, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def batches(count=30):
    random = np.random.default_rng(0)
    return [random.standard_normal((4, 8, 16)).astype(np.float32) for _ in range(count)]


class Reader(CalibrationDataReader):
    def __init__(self, arrays):
        self.feeds = iter([{"x": array} for array in arrays])

    def get_next(self):
        return next(self.feeds, None)


def by_onnxruntime(tmp_path, calibrater, **settings):
    path = tmp_path / "graph.onnx"
    onnx.save(graph(), path)
    with contextlib.redirect_stdout(io.StringIO()):
        found = calibrater(path, None, str(tmp_path / "augmented.onnx"), **settings)
        infos = {item.name: item for item in [*found.model.graph.value_info, *found.model.graph.input]}
        found.select_tensors_to_calibrate = lambda model: (set(TENSORS), infos)
        found.augment_graph()
        found.create_inference_session()
        found.collect_data(Reader(batches()))
        data = found.compute_data()
    return {name: float(np.abs(np.asarray(data[name].range_value)).max()) for name in TENSORS}


def histograms():
    run, found = observe_histograms(graph(), TENSORS, "tiny")
    for array in batches():
        outputs = run({"x": array})
        assert set(outputs) == {"y"}
        np.testing.assert_allclose(outputs["y"], -(array**3), rtol=1e-6)
    return found


@pytest.mark.parametrize("percentile", [90, 99, 99.9])
def test_percentiles_are_onnxruntimes(tmp_path, percentile):
    expected = by_onnxruntime(
        tmp_path, PercentileCalibrater, symmetric=True, num_bins=2048, percentile=percentile
    )
    found = {name: range_of(item, "percentile", percentile) for name, item in histograms().items()}
    assert found == pytest.approx(expected, rel=0.01)


def test_maxima_are_onnxruntimes(tmp_path):
    expected = by_onnxruntime(tmp_path, MinMaxCalibrater)
    assert {name: range_of(item, "max") for name, item in histograms().items()} == expected
    run, maxima = observe_maxima(graph(), TENSORS, "tiny")
    for array in batches():
        run({"x": array})
    assert {name: float(value) for name, value in maxima.items()} == expected


@pytest.mark.parametrize("shape", ["laplace", "normal", "one side", "outliers", "few"])
def test_entropy_is_onnxruntimes_on_the_same_histogram(shape):
    random = np.random.default_rng(1)
    values = {
        "laplace": lambda: random.laplace(0, 1, 300_000),
        "normal": lambda: random.standard_normal(300_000),
        "one side": lambda: np.maximum(random.standard_normal(300_000), -0.17),
        "outliers": lambda: np.append(random.standard_normal(300_000), [-30, 25]),
        "few": lambda: random.standard_t(3, 700),
    }[shape]().astype(np.float32)
    histogram = Histogram()
    for part in np.array_split(values, 5):
        histogram.add(part)
    counts, edges = histogram.coarse(ENTROPY_BINS)
    own = np.histogram(values.astype(np.float64), edges)[0]
    collector = HistogramCollector("entropy", True, len(counts), QUANTISED_BINS, None, "same")
    low, high = collector.get_entropy_threshold((own, edges, values.min(), values.max()), QUANTISED_BINS)[:2]
    assert range_of(histogram, "entropy") == pytest.approx(max(-low, high), rel=1e-5)


def test_entropy_is_near_what_onnxruntime_finds_by_itself(tmp_path):
    expected = by_onnxruntime(tmp_path, EntropyCalibrater, symmetric=True, num_bins=2048)
    found = {name: range_of(item, "entropy") for name, item in histograms().items()}
    # Its search has many near-equal minima, and its bins begin with the first batch's: some per cent.
    assert found == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("calibrator", ["max", "percentile", "entropy"])
def test_a_tensor_of_zeros_has_no_range(calibrator):
    histogram = Histogram()
    histogram.add(np.zeros(100, np.float32))
    assert range_of(histogram, calibrator) == 0


@pytest.mark.parametrize("calibrator", ["percentile", "entropy"])
def test_a_constant_tensor_has_its_magnitude(calibrator):
    histogram = Histogram()
    histogram.add(np.full(100, -3, np.float32))
    assert range_of(histogram, calibrator) == pytest.approx(3, rel=1e-3)


def test_maxima_by_channel_are_those_of_all_runs():
    run, maxima = observe_channel_maxima(graph(), ["squared", "x"], "tiny")
    for array in batches():
        run({"x": array})
    everything = np.concatenate(batches())
    np.testing.assert_array_equal(maxima["x"], np.abs(everything).max(axis=(0, 1)))
    np.testing.assert_allclose(maxima["squared"], (everything**2).max(axis=(0, 1)), rtol=1e-6)


@pytest.mark.parametrize("observe", [observe_histograms, observe_maxima, observe_channel_maxima])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e20])
def test_a_value_that_is_not_finite_is_named_with_its_tensor(observe, bad):
    array = np.ones((1, 8, 16), np.float32)
    array[0, 3, 5] = bad  # 1e20 is infinite only when squared
    run, _ = observe(graph(), ["squared"], "tiny")
    with pytest.raises(MGHFTError, match=r"(squared|y) of tiny\.onnx is infinite or not a number"):
        run({"x": array})


def test_the_watched_graph_is_left_as_it_was():
    model = graph()
    before = model.SerializeToString()
    for observe in (observe_histograms, observe_maxima, observe_channel_maxima):
        observe(model, TENSORS, "tiny")
    assert model.SerializeToString() == before
