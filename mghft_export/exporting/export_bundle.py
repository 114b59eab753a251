"""Exports a model as a bundle: fuses it, traces each branch, writes the manifest, verifies, renames into place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mghft_export import __version__
from mghft_export.bundle import (
    MANIFEST,
    Bundle,
    CheckpointEntry,
    GraphEntry,
    Manifest,
    file_entry,
    load_bundle,
    write_manifest,
)
from mghft_export.bundle.model_inputs import fitting_tokenizer, image_entry, text_entry
from mghft_export.bundle.text_features import save_features
from mghft_export.bundle.verifications import ReleasedVerification
from mghft_export.errors import ExportError
from mghft_export.exporting import trace
from mghft_export.exporting.trace_process import traced_beside
from mghft_export.files.atomic import replacing_folder
from mghft_export.fused.branch_modules import fusion_branch, single_graph, text_branch, vision_branch
from mghft_export.fused.mghft import FusedMGHFT, fuse
from mghft_export.graph.entries import graph_entry
from mghft_export.model.mghft import MGHFT
from mghft_export.stickers.text_tokens import default_tokenizer_path

NO_TEXT = "no_text.npz"
"""The file with the features of a sticker without text, in the bundle of a model that has learned them."""

PACKAGES = (
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime-gpu",
    "onnxruntime",
    "transformers",
    "timm",
    "numpy",
    "pillow",
)


@dataclass(frozen=True)
class Source:
    """The model to export, and what is known about it.

    Attributes:
        name: the checkpoint's file, or how the weights were made.
        sha256: the SHA-256 of the checkpoint's file, if there is one.
        trained: False for random weights: the manifest and every prediction say so.
    """

    model: MGHFT
    class_names: tuple[str, ...]
    name: str
    sha256: str | None
    trained: bool


Verify = Callable[[MGHFT, Bundle, Callable[[str], None]], ReleasedVerification]
"""Compares the model with the bundle exported from it; it calls the last argument with each step that starts."""


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        opset: ONNX operator set.
        single_file: also write `mghft.onnx`, all branches as one graph.
        tokenizer: a tokenizer.json, vocab.txt or folder; BERT-base-uncased's by default.
        background: the colour behind transparent stickers.
        verify: the comparison with the model; None skips it.
    """

    opset: int = trace.DEFAULT_OPSET
    single_file: bool = False
    tokenizer: Path = field(default_factory=default_tokenizer_path)
    background: str = "white"
    verify: Verify | None = None


def export_bundle(
    source: Source, output: Path, options: ExportOptions, on_step: Callable[[str], None] = lambda _: None
) -> tuple[Bundle, ReleasedVerification | None]:
    """Export a model as a bundle, replacing what is at `output`.

    Raises:
        ExportError: a branch cannot be traced, a graph breaks a promise, or the verification fails. Nothing is written.
        MGHFTError: the tokenizer cannot be read or does not fit, or the disk is full.
    """
    _refuse_to_replace_other_things(output)
    config = source.model.config
    with replacing_folder(output) as root:
        tokenizer = fitting_tokenizer(options.tokenizer, config, ExportError)
        tokenizer.save(str(root / "tokenizer.json"), pretty=False)
        on_step("fusing")
        fused = fuse(source.model)
        graphs = _trace_branches(fused, root, options, on_step)
        manifest = Manifest(
            producer=f"mghft-export {__version__}",
            trained=source.trained,
            checkpoint=CheckpointEntry(name=source.name, sha256=source.sha256),
            model=config.to_dict(),
            class_names=source.class_names,
            image=image_entry(config, options.background),
            text=text_entry(config),
            tokenizer=file_entry(root, root / "tokenizer.json"),
            precisions={"fp32": graphs},
            versions=package_versions(),
        )
        no_text = source.model.no_text
        if no_text is not None:
            path = root / NO_TEXT
            save_features(path, Bundle(root, manifest), [""], no_text.detach().float().numpy())
            manifest = manifest.model_copy(update={"no_text": file_entry(root, path)})
        write_manifest(root, manifest)
        verification = None
        if options.verify is not None:
            verification = options.verify(source.model, load_bundle(root), on_step)
            manifest = manifest.model_copy(update={"verification": {"fp32": verification.to_dict()}})
            write_manifest(root, manifest)
            if not verification.passed:
                raise ExportError(_difference(verification))
    return load_bundle(output), verification


def _difference(verification: ReleasedVerification) -> str:
    """The error for logits beyond the tolerance; it says when rounding in PyTorch alone explains the difference."""
    worst = max(item.max_abs for item in verification.differences if item.output == "logits")
    found = f"by {worst:.2g}, more than the tolerance of {verification.tolerance:g}"
    if verification.rounding is None or not verification.rounding > verification.tolerance:
        return f"the exported logits differ from the released model's {found}; nothing was written"
    return (
        f"the exported logits differ from the released model's {found}, and PyTorch's own float32 and float64 logits "
        f"by {verification.rounding:.2g}: rounding decides which tokens this model selects, as its attention gives one "
        "patch nearly everything. Train it with attention_variance_weight, or accept the difference with --tolerance; "
        "nothing was written"
    )


def _refuse_to_replace_other_things(output: Path) -> None:
    """Refuse a folder with other files; a bundle or an empty folder may be replaced, and a free path may be used."""
    if not output.is_dir() or not any(output.iterdir()):
        return
    try:
        manifest = (output / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        manifest = ""
    if '"producer"' not in manifest:  # calibration sets have a manifest too
        raise ExportError(f"{output} is a folder with other files in it; choose another place with -o")


def _trace_branches(
    fused: FusedMGHFT, root: Path, options: ExportOptions, on_step: Callable[[str], None]
) -> dict[str, GraphEntry]:
    folder = root / "fp32"
    folder.mkdir()
    text = text_branch(fused)
    branches = [vision_branch(fused), fusion_branch(fused)]
    if options.single_file:
        branches.append(single_graph(fused))
    with traced_beside(text, folder / "text.onnx", opset=options.opset):
        for branch in branches:
            on_step(f"tracing {branch.name}.onnx, and text.onnx beside it")
            trace.export_branch(branch, folder / f"{branch.name}.onnx", opset=options.opset)
        on_step("tracing text.onnx")
    names = ["vision", "text", *(branch.name for branch in branches[1:])]
    return {name: graph_entry(root, folder / f"{name}.onnx") for name in names}


def package_versions() -> dict[str, str]:
    """Versions of the packages that make a bundle, for those that are installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
