"""The float32 vision graph quantised as a user of another tool would: NNCF, and ONNX Runtime's `quantize_static`."""

from __future__ import annotations

from pathlib import Path

from peer_inputs import Images, images

from mghft_export.bundle import load_bundle
from mghft_export.errors import MGHFTError
from mghft_export.files.atomic import replacing_file, replacing_folder

NNCF_STICKERS = {"small": 64, "large": 16}
"""64 stickers settle the ranges; one of 448 pixels has 49 times the pixels of mini's, so 16 there."""

LARGE_SIDE = 224
"""Pixels above which a model is large."""

ONNXRUNTIME_STICKERS = 16
"""As many at both sizes: the ranges are least and greatest values, which more stickers only widen."""

NNCF_MODEL = "vision.xml"


def quantise_by_nncf(root: Path, folder: Path) -> None:
    """NNCF's post-training quantisation with its defaults for transformers; writes OpenVINO's format into a folder."""
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
    """Stickers one after another, as `quantize_static` reads them."""

    def __init__(self, pixels: Images) -> None:
        self._rows = iter([{"image": pixels[number : number + 1]} for number in range(len(pixels))])

    def get_next(self) -> dict[str, Images] | None:
        return next(self._rows, None)


def quantise_by_onnxruntime(root: Path, target: Path) -> None:
    """`quantize_static` with its defaults, after the preparation that its documentation asks for."""
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    CalibrationDataReader.register(_Reader)
    bundle = load_bundle(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    prepared = target.with_suffix(".prepared.onnx")
    try:
        # Symbolic shape inference gives up on this graph ("Incomplete symbolic shape inference"); ONNX's own does not.
        quant_pre_process(str(bundle.graph("vision")), str(prepared), skip_symbolic_shape=True)
        with replacing_file(target) as partial:
            quantize_static(str(prepared), str(partial), _Reader(images(bundle, ONNXRUNTIME_STICKERS)))
    finally:
        prepared.unlink(missing_ok=True)
