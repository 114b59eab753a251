"""What is evaluated: a bundle or a checkpoint behind one function, images and texts -> logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mghft_export.bundle import load_bundle
from mghft_export.errors import MGHFTError
from mghft_export.model.checkpoint_choice import CHECKPOINTS_WORD, TextChoice
from mghft_export.runtime.pipeline import FloatArray, Pipeline
from mghft_export.runtime.text_cache import TextCache


@dataclass(frozen=True)
class Predictor:
    """A model ready to be evaluated.

    Attributes:
        name: for people: its file and how it runs.
        class_names: one per logit.
        trained: False for random weights.
        background: colour that transparent stickers are put on.
        logits: B RGB images and their B texts -> [B, classes].
        precision: of a bundle's graphs or engines; fp32 for a checkpoint.
    """

    name: str
    class_names: tuple[str, ...]
    trained: bool
    background: str
    logits: Callable[[Sequence[Image.Image], Sequence[str]], FloatArray]
    precision: str = "fp32"


def open_predictor(
    path: Path,
    *,
    precision: str = "fp32",
    provider: str = "cpu",
    tokenizer: Path | None = None,
    engine: str | None = None,
    text: TextChoice = CHECKPOINTS_WORD,
) -> Predictor:
    """Open a bundle (a folder) or a checkpoint (a file).

    Args:
        precision: one that the bundle has; a checkpoint runs in fp32.
        provider: of ONNX Runtime; for a checkpoint the device of PyTorch, `cpu` or `cuda`.
        engine: of a bundle: a folder of engines or its name; they have their own precision, and no provider.
        tokenizer: for a checkpoint whose vocabulary is not BERT-base-uncased's; a bundle has its own.
        text: what the user says of a checkpoint's text weights.

    Raises:
        MGHFTError: there is neither, it cannot be read, or it cannot run like that.
    """
    if path.is_dir():
        return bundle_predictor(path, precision=precision, provider=provider, engine=engine)
    if not path.is_file():
        raise MGHFTError(f"there is no bundle or checkpoint at {path}; make one with `mghft-export onnx`")
    if engine is not None:
        raise MGHFTError(
            f"{path} is a checkpoint and has no engines; leave out --engine, or export it as a bundle"
        )
    if precision != "fp32":
        raise MGHFTError(f"{path} is a checkpoint and runs in fp32; export it as a bundle for {precision}")
    try:
        from mghft_export.evaluation.torch_predictor import checkpoint_predictor
    except ModuleNotFoundError as error:
        raise MGHFTError(
            f"{path} is a checkpoint, which needs {error.name}; "
            "install it with: pip install 'mghft-export[torch]'"
        ) from error
    return checkpoint_predictor(path, device=provider, tokenizer=tokenizer, text=text)


def bundle_predictor(
    root: Path, *, precision: str = "fp32", provider: str = "cpu", engine: str | None = None
) -> Predictor:
    """A bundle through the same pipeline as `mghft-export predict`.

    Raises:
        MGHFTError: not a bundle, without this precision, or the provider or engine is not usable on this machine.
    """
    bundle = load_bundle(root)
    # Without a cache of texts: what is measured includes the text branch.
    pipeline = Pipeline(bundle, precision=precision, provider=provider, engine=engine, texts=TextCache(0))

    def logits(images: Sequence[Image.Image], texts: Sequence[str]) -> FloatArray:
        return pipeline.logits(pipeline.preprocess(images), texts)

    manifest = bundle.manifest
    runs_in = Path(engine).name if engine is not None else f"{precision}, {provider}"
    return Predictor(
        f"{root.resolve().name} ({runs_in})",
        manifest.class_names,
        manifest.trained,
        manifest.image.background,
        logits,
        pipeline.precision,
    )
