"""Quantises a bundle's vision and fusion branches with other tools, for comparison in benchmarks/int8_accuracy.py.

    python benchmarks/other_quantisers.py BUNDLE FOLDER --quantiser modelopt
    python benchmarks/other_quantisers.py BUNDLE FOLDER --quantiser onnxruntime

NVIDIA's Model Optimizer pins older versions of onnx and onnxruntime, so it needs a separate environment:

    pip install 'nvidia-modelopt[onnx]' && pip install -e .
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from mghft_export.bundle import Bundle, load_bundle
from mghft_export.precision.calibration.calibration_set import load_calibration_set
from mghft_export.precision.calibration.default_set import default_calibration_set
from mghft_export.precision.feeds import run_images
from mghft_export.precision.observe import Feeds
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.runtime.session import Array

BRANCHES = ("vision", "fusion")


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Feeds, one after another."""

    def __init__(self, feeds: list[Feeds]) -> None:
        self.feeds: Iterator[Feeds] = iter(feeds)

    def get_next(self) -> Feeds | None:
        return next(self.feeds, None)


def by_modelopt(source: Path, target: Path, feeds: list[Feeds], method: str) -> None:
    """Quantise with Model Optimizer, except for this model's re-attention and the products of attention."""
    from modelopt.onnx.quantization import quantize

    copy = target.with_suffix(".float.onnx")
    shutil.copyfile(
        source, copy
    )  # Model Optimizer writes into the folder of its input and overwrites its input
    quantize(
        str(copy),
        quantize_mode="int8",
        calibration_data={name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]},
        calibration_method=method,
        calibration_eps=["cpu"],
        op_types_to_quantize=["MatMul", "Gemm"],
        nodes_to_exclude=reattention(source),
        disable_mha_qdq=True,
        high_precision_dtype="fp32",
        output_path=str(target),
    )


def by_onnxruntime(source: Path, target: Path, feeds: list[Feeds]) -> None:
    """Quantise with ONNX Runtime's own placement, constant weights only."""
    quantize_static(
        str(source),
        str(target),
        Reader(feeds),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Gemm"],
        nodes_to_exclude=reattention(source),
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "MatMulConstBOnly": True},
    )


def reattention(path: Path) -> list[str]:
    """Names of the nodes that stay in float32."""
    return [node.name for node in onnx.load(path).graph.node if "reattention" in node.name]


def calibration_feeds(bundle: Bundle, branch: str, count: int | None) -> list[Feeds]:
    """The branch's inputs on the default calibration set."""
    stickers = load_calibration_set(default_calibration_set(), bundle.manifest.class_names).stickers
    pipeline = Pipeline(bundle)
    kept: list[Feeds] = []

    def keep(feeds: Feeds) -> dict[str, Array]:
        kept.append(feeds)
        return getattr(pipeline, branch).run(feeds)

    if branch == "vision":
        run_images(pipeline, stickers[:count], keep)
    else:
        run_images(pipeline, stickers[:count], pipeline.vision.run, keep)
    return kept


def main() -> None:
    """Parse, quantise, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quantiser", choices=["modelopt", "onnxruntime"], required=True)
    parser.add_argument(
        "--method", choices=["max", "entropy"], default="max", help="calibration method of modelopt"
    )
    parser.add_argument("--stickers", type=int, help="use only this many calibration stickers")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for branch in BRANCHES:
        source, target = bundle.graph(branch), arguments.folder / f"{branch}.onnx"
        feeds = calibration_feeds(bundle, branch, arguments.stickers)
        if arguments.quantiser == "modelopt":
            by_modelopt(source, target, feeds, arguments.method)
        else:
            by_onnxruntime(source, target, feeds)


if __name__ == "__main__":
    main()
