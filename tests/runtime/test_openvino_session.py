"""OpenVINO computes what ONNX Runtime computes, in the graph's own precision."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from mghft_export.bundle import BRANCHES, Bundle, load_bundle
from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.cpu_features import cpu_flags, has_bf16
from mghft_export.errors import BundleError, MGHFTError
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.precision.calibration_run import PrecisionOptions
from mghft_export.runtime import openvino_session
from mghft_export.runtime.graph_session import PROVIDERS, open_graph
from mghft_export.runtime.openvino_session import OpenVinoSession
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.image import open_sticker

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("openvino")
    shutil.copytree(tiny_bundle, folder / "bundle")
    options = PrecisionOptions(
        recipe=QuantizationRecipe(branches=BRANCHES, calibrator="max"), stickers=4, cache=folder / "cache"
    )
    return add_precisions(load_bundle(folder / "bundle"), ["fp16", "int8"], options)


def logits(bundle: Bundle, **how: object) -> np.ndarray:
    """Of nine stickers whose texts differ in length."""
    stickers = load_calibration_set(default_calibration_set()).stickers[:9]
    pipeline = Pipeline(bundle, **how)
    images = [open_sticker(sticker.image, background="white") for sticker in stickers]
    texts = [sticker.text * (1 + number % 3) for number, sticker in enumerate(stickers)]
    return pipeline.logits(pipeline.preprocess(images), texts)


def test_logits_are_those_of_onnx_runtime(bundle: Bundle) -> None:
    expected = logits(bundle)
    found = logits(bundle, provider="openvino", threads=1)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected))


@pytest.mark.parametrize(("precision", "limit"), [("fp16", 0.02), ("int8", 0.2)])
def test_other_precisions_stay_as_near_to_float32_as_in_onnx_runtime(
    bundle: Bundle, precision: str, limit: float
) -> None:
    expected = logits(bundle)
    found = logits(bundle, precision=precision, provider="openvino")
    assert np.abs(found - expected).max() < limit * np.ptp(expected)


def test_int8_graphs_run_in_int8(bundle: Bundle) -> None:
    """Were they run in float, the outputs would be those of the graph with optimisations off, to the last digits."""
    session = OpenVinoSession(bundle.graph("vision", "int8"))
    assert {_precision(node) for node in _runtime_model(session).get_ops()} & {"i8", "u8"}


def test_it_does_not_compute_in_bfloat16_unasked(bundle: Bundle) -> None:
    compiled = OpenVinoSession(bundle.graph("vision"))._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    operators = _runtime_model(OpenVinoSession(bundle.graph("vision"))).get_ops()
    assert not [node for node in operators if _precision(node) == "bf16"]


def _precision(node) -> str:
    return node.get_rt_info()["runtimePrecision"].astype(str)


def _runtime_model(session: OpenVinoSession):
    return session._request.get_compiled_model().get_runtime_model()


def test_bfloat16_is_taken_only_where_it_is_asked_for_and_the_cpu_has_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_session, "cpu_flags", lambda: frozenset({"avx2"}))
    with pytest.raises(MGHFTError, match="no instructions for bfloat16"):
        OpenVinoSession(bundle.graph("vision"), bfloat16=True)
    monkeypatch.undo()
    if not has_bf16(cpu_flags()):
        pytest.skip("this CPU has no bfloat16")
    session = open_graph(bundle.graph("vision"), provider="openvino-bf16")
    assert [node for node in _runtime_model(session).get_ops() if _precision(node) == "bf16"]
    expected, found = logits(bundle), logits(bundle, provider="openvino-bf16")
    assert 0 < np.abs(found - expected).max() < 0.05 * np.ptp(expected)


def test_outputs_of_a_run_stay_when_the_next_begins(bundle: Bundle) -> None:
    session = open_graph(bundle.graph("vision"), provider="openvino")
    generator = np.random.default_rng(0)
    one, other = generator.standard_normal((2, 2, 3, 96, 96)).astype(np.float32)
    first = session.run({"image": one})
    kept = {name: array.copy() for name, array in first.items()}
    session.run({"image": other})
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])


def test_arrays_are_handed_over_without_the_pipeline_copying_them(bundle: Bundle) -> None:
    vision = open_graph(bundle.graph("vision"), provider="openvino")
    image = np.random.default_rng(0).standard_normal((2, 3, 96, 96)).astype(np.float32)
    on_device = vision.run_device(vision.upload({"image": image}, None), None)
    expected = vision.run({"image": image})
    for name, array in vision.download(on_device, None).items():
        np.testing.assert_allclose(array, expected[name], atol=1e-6)


def test_what_does_not_fit_is_one_sentence(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "vision.onnx"
    damaged.write_bytes(bundle.graph("vision").read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"^OpenVINO cannot load .*vision.onnx: .+") as caught:
        OpenVinoSession(damaged)
    assert "\n" not in str(caught.value)
    session = OpenVinoSession(bundle.graph("vision"))
    with pytest.raises(MGHFTError, match="'image' is missing"):
        session.run({})
    with pytest.raises(MGHFTError, match=r"must be float32 \[any, 3, 96, 96\]"):
        session.run({"image": np.zeros((1, 3, 64, 64), np.float32)})
    with pytest.raises(MGHFTError, match="openvino"):
        open_graph(bundle.graph("vision"), provider="npu")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MGHFTError, match=r"pip install 'mghft-export\[openvino\]'"):
        OpenVinoSession(bundle.graph("vision"))


def test_every_provider_of_the_command_line_is_known() -> None:
    assert PROVIDERS == ("cpu", "cuda", "tensorrt", "openvino", "openvino-bf16")


@pytest.mark.parametrize("branch", BRANCHES)
def test_int8_products_compute_what_the_graph_says(bundle: Bundle, branch: str) -> None:
    from precision.products_alone import extreme_activations, products_alone, run_exactly

    graph = onnx.load(bundle.graph(branch, "int8")).graph
    for product in products_alone(graph):
        x = extreme_activations(product)
        session = open_graph(product.model.SerializeToString(), provider="openvino")
        (found,) = session.run({next(iter(session.inputs)): x}).values()
        expected = run_exactly(product.model, x)
        limit = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=limit, err_msg=product.name)
