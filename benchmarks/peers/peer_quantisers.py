"""Quantises the float32 vision graph as a user of another tool would: NNCF, ONNX Runtime's `quantize_static`."""

from __future__ import annotations

from pathlib import Path

from peer_inputs import Images, images

from mghft_export.bundle import load_bundle
from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file, replacing_folder

NNCF_STICKERS = {"small": 64, "large": 16}
"""64 stickers settle the ranges. One of 448 pixels has 49 times the pixels of mini's, so there 16 do."""

LARGE_SIDE = 224
"""A model is large if an image side has more pixels than this."""

ONNXRUNTIME_STICKERS = 16
"""The same number at both sizes: the ranges are minimum and maximum values, which more stickers only widen."""

NNCF_MODEL = "vision.xml"


def quantise_by_nncf(root: Path, folder: Path) -> None:
    """Quantise with NNCF and its defaults for transformers; write OpenVINO's format into a folder."""
    try:
        import nncf
        import openvino
    except ImportError as error:
        raise MGHFTError("NNCF is not installed; install it with: pip install openvino nncf") from error
    bundle = load_bundle(root)
    side = max(bundle.manifest.image.height, bundle.manifest.image.width)
    pixels = images(bundle, NNCF_STICKERS["large" if side > LARGE_SIDE else "small"])
    rows = [pixels[number : number + 1] for number in range(len(pixels))]
    quantised = nncf.quantize(
        openvino.Core().read_model(bundle.graph("vision")),
        nncf.Dataset(rows, lambda image: {"image": image}),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(rows),
    )
    with replacing_folder(folder) as partial:
        openvino.save_model(quantised, partial / NNCF_MODEL)


class _Reader:
    """Gives `quantize_static` one sticker after another."""

    def __init__(self, pixels: Images) -> None:
        self._rows = iter([{"image": pixels[number : number + 1]} for number in range(len(pixels))])

    def get_next(self) -> dict[str, Images] | None:
        return next(self._rows, None)


def quantise_by_onnxruntime(root: Path, target: Path) -> None:
    """Run `quantize_static` with its defaults, after the preparation that its documentation asks for."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    CalibrationDataReader.register(_Reader)
    bundle = load_bundle(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    prepared = target.with_suffix(".prepared.onnx")
    try:
        # Symbolic shape inference fails on this graph ("Incomplete symbolic shape inference"); ONNX's own does not.
        quant_pre_process(str(bundle.graph("vision")), str(prepared), skip_symbolic_shape=True)
        with replacing_file(target) as partial:
            quantize_static(str(prepared), str(partial), _Reader(images(bundle, ONNXRUNTIME_STICKERS)))
    finally:
        prepared.unlink(missing_ok=True)
