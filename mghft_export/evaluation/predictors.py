"""A bundle or a checkpoint to evaluate, behind one function: images and texts -> logits."""

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
    """A model that is ready to be evaluated.

    Attributes:
        name: name for reports: its file and how it runs.
        class_names: the classes, in the order of the logits.
        trained: False if the weights are random.
        background: colour behind transparent stickers.
        logits: B RGB images and their B texts -> [B, classes].
        precision: precision of a bundle's graphs or engines; fp32 for a checkpoint.
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
        precision: a precision of the bundle; a checkpoint runs in fp32.
        provider: what runs a bundle's graphs; for a checkpoint, the PyTorch device `cpu` or `cuda`.
        engine: a folder of a bundle's engines, or its name. Engines have their own precision, and no provider.
        tokenizer: tokenizer of a checkpoint, BERT-base-uncased's by default; a bundle has its own.
        text: where a checkpoint's text weights are; by default the checkpoint says.

    Raises:
        MGHFTError: there is no bundle or checkpoint, it cannot be read, or it cannot run with these options.
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
    """Open a bundle in the same pipeline as `mghft-export predict`.

    Raises:
        MGHFTError: this is not a bundle, it lacks the precision, or the provider or engine cannot run on this machine.
    """
    bundle = load_bundle(root)
    # There is no cache of texts, so that measurements include the text branch.
    pipeline = Pipeline(bundle, precision=precision, provider=provider, engine=engine, texts=TextCache(0))

    runs_in = Path(engine).name if engine is not None else f"{precision}, {provider}"
    return pipeline_predictor(pipeline, f"{root.resolve().name} ({runs_in})", trained=bundle.manifest.trained)


def pipeline_predictor(pipeline: Pipeline, name: str, *, trained: bool) -> Predictor:
    """A pipeline for evaluation."""

    def logits(images: Sequence[Image.Image], texts: Sequence[str]) -> FloatArray:
        return pipeline.logits(pipeline.preprocess(images), texts)

    inputs = pipeline.inputs
    return Predictor(name, inputs.class_names, trained, inputs.image.background, logits, pipeline.precision)
