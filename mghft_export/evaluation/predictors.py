"""What is evaluated: a bundle or a checkpoint behind one function, images and texts -> logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mghft_export.bundle import load_bundle
from mghft_export.errors import MGHFTError
from mghft_export.runtime.pipeline import FloatArray, Pipeline


@dataclass(frozen=True)
class Predictor:
    """A model ready to be evaluated.

    Attributes:
        name: for people: its file and how it runs.
        class_names: one per logit.
        trained: False for random weights.
        background: colour that transparent stickers are put on.
        logits: B RGB images and their B texts -> [B, classes].
    """

    name: str
    class_names: tuple[str, ...]
    trained: bool
    background: str
    logits: Callable[[Sequence[Image.Image], Sequence[str]], FloatArray]


def open_predictor(
    path: Path, *, precision: str = "fp32", provider: str = "cpu", tokenizer: Path | None = None
) -> Predictor:
    """Open a bundle (a folder) or a checkpoint (a file).

    Args:
        precision: one that the bundle has; a checkpoint runs in fp32.
        provider: of ONNX Runtime; for a checkpoint the device of PyTorch, `cpu` or `cuda`.
        tokenizer: for a checkpoint whose vocabulary is not BERT-base-uncased's; a bundle has its own.

    Raises:
        MGHFTError: there is neither, it cannot be read, or it cannot run like that.
    """
    if path.is_dir():
        return bundle_predictor(path, precision=precision, provider=provider)
    if not path.is_file():
        raise MGHFTError(f"there is no bundle or checkpoint at {path}; make one with `mghft-export onnx`")
    if precision != "fp32":
        raise MGHFTError(f"{path} is a checkpoint and runs in fp32; export it as a bundle for {precision}")
    try:
        from mghft_export.evaluation.torch_predictor import checkpoint_predictor
    except ModuleNotFoundError as error:
        raise MGHFTError(
            f"{path} is a checkpoint, which needs {error.name}; "
            "install it with: pip install 'mghft-export[torch]'"
        ) from error
    return checkpoint_predictor(path, device=provider, tokenizer=tokenizer)


def bundle_predictor(root: Path, *, precision: str = "fp32", provider: str = "cpu") -> Predictor:
    """A bundle through the same pipeline as `mghft-export predict`.

    Raises:
        MGHFTError: not a bundle, without this precision, or the provider is not usable on this machine.
    """
    bundle = load_bundle(root)
    pipeline = Pipeline(bundle, precision=precision, provider=provider)

    def logits(images: Sequence[Image.Image], texts: Sequence[str]) -> FloatArray:
        return pipeline.logits(pipeline.preprocess(images), pipeline.encode_texts(texts))

    manifest = bundle.manifest
    name = f"{root.resolve().name} ({precision}, {provider})"
    return Predictor(name, manifest.class_names, manifest.trained, manifest.image.background, logits)
