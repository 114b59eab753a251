"""A bundle becomes a model repository of NVIDIA Triton: three branches, and the model that clients call."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mghft_export import __version__
from mghft_export.bundle import BRANCHES, MANIFEST, Bundle
from mghft_export.bundle.build_info import BuildInfo, read_build_info
from mghft_export.bundle.text_features import text_branch_id
from mghft_export.engines.loading import check_files, check_graphs
from mghft_export.errors import EngineError, MGHFTError
from mghft_export.files.atomic import replacing_folder
from mghft_export.files.hashing import sha256
from mghft_export.runtime.engine_branches import find_engine_folder
from mghft_export.serving.served_bundle import ServedBranch, ServedBundle, write_served
from mghft_export.serving.triton_config import branch_config, sticker_config
from mghft_export.stickers.views import distinct_texts

MODEL_FILE = '''"""What Triton's Python backend loads; the package mghft-export must be installed beside it."""

from mghft_export.serving.triton_model import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''

WARM_UP_TOKENS = 16
"""Tokens of a text in a warm-up request, if the model takes texts of any length."""


@dataclass(frozen=True)
class RepositoryOptions:
    """How the server is to run the models.

    Attributes:
        name: of the model that clients call; the branches are `NAME_vision`, `NAME_text` and `NAME_fusion`.
        version: folder of this version of the models.
        max_batch: most stickers of one run. Engines are limited to their profiles as well.
        queue_delay: microseconds that a request waits for others to run with.
        instances: copies of each branch, on each GPU or on the CPU.
        decoders: copies of the model that decodes images and tokenises texts.
        gpu: run ONNX graphs on GPUs; engines always do.
    """

    name: str = "mghft"
    version: int = 1
    max_batch: int = 32
    queue_delay: int = 2000
    instances: int = 1
    decoders: int = 2
    gpu: bool = True


def write_repository(
    bundle: Bundle,
    output: Path,
    options: RepositoryOptions,
    *,
    precision: str = "fp32",
    engine: str | Path | None = None,
) -> ServedBundle:
    """Write a model repository, replacing one that is there.

    Args:
        precision: the bundle's graphs that are served.
        engine: a folder of TensorRT engines instead, or its name in the bundle's `engines/`.

    Raises:
        BundleError: the bundle lacks the precision, or a file was changed.
        EngineError: the engines are not of TensorRT, or a branch is missing.
        MGHFTError: the folder has other files in it, or the disk is full.
    """
    _refuse_to_replace_other_things(output, options.name)
    built = None if engine is None else _tensorrt_build(bundle, engine)
    folder, info = (None, None) if built is None else built
    branches = {name: _branch(bundle, name, precision, info, options) for name in BRANCHES}
    served = ServedBundle(
        producer=f"mghft-export {__version__}",
        version=sha256(bundle.root / MANIFEST)[:12],
        trained=bundle.manifest.trained,
        precision=precision if info is None else info.precision,
        class_names=bundle.manifest.class_names,
        image=bundle.manifest.image,
        text=bundle.manifest.text,
        text_id=text_branch_id(bundle),
        has_no_text=bundle.manifest.no_text is not None,
        branches=branches,
        tensorrt=None if info is None else info.version,
    )
    with replacing_folder(output) as root:
        for name, branch in branches.items():
            place = root / branch.model / str(options.version)
            place.mkdir(parents=True)
            if folder is not None and info is not None:
                shutil.copyfile(folder / info.engines[name].file.path, place / "model.plan")
            else:
                shutil.copyfile(bundle.graph(name, precision), place / "model.onnx")
            config = _config(bundle, branch, options, is_engine=info is not None)
            (root / branch.model / "config.pbtxt").write_text(config, encoding="utf-8")
        place = root / options.name / str(options.version)
        place.mkdir(parents=True)
        (place / "model.py").write_text(MODEL_FILE, encoding="utf-8")
        write_served(place, bundle, served)
        config = sticker_config(
            options.name,
            class_names=served.class_names,
            width=_width(branches["text"]),
            max_batch=options.max_batch,
            queue_delay=options.queue_delay,
            instances=options.decoders,
        )
        (root / options.name / "config.pbtxt").write_text(config, encoding="utf-8")
    return served


def _tensorrt_build(bundle: Bundle, engine: str | Path) -> tuple[Path, BuildInfo]:
    folder = find_engine_folder(bundle, engine)
    info = read_build_info(folder)
    if info.backend != "tensorrt":
        raise EngineError(
            f"{folder} has engines of TensorRT-RTX, which Triton cannot run; build TensorRT engines on the server's "
            "GPU with `mghft-export trt --backend tensorrt`, or serve the ONNX graphs without --engine"
        )
    if missing := [branch for branch in BRANCHES if branch not in info.engines]:
        raise EngineError(f"{folder} has no {missing[0]} engine; build it with: {info.command}")
    check_files(folder, info)
    check_graphs(folder, info, bundle)
    return folder, info


def _branch(
    bundle: Bundle, name: str, precision: str, info: BuildInfo | None, options: RepositoryOptions
) -> ServedBranch:
    """A branch as the server has it."""
    bundle.graph(name, precision if info is None else info.precision)  # the file is there and unchanged
    graph = bundle.manifest.precisions[precision if info is None else info.precision][name]
    # The text branch runs texts, of which a sticker may have four.
    most = options.max_batch * (distinct_texts(bundle.manifest.text.views) if name == "text" else 1)
    profiles = () if info is None else info.engines[name].profiles
    if profiles:
        most = min(most, max(maximum[0] for profile in profiles for _, _, maximum in profile.values()))
    return ServedBranch(
        model=f"{options.name}_{name}",
        version=options.version,
        inputs=graph.inputs,
        outputs=graph.outputs,
        max_batch=most,
        profiles=profiles,
    )


def _config(bundle: Bundle, branch: ServedBranch, options: RepositoryOptions, *, is_engine: bool) -> str:
    longest = bundle.manifest.text.max_length
    optima = [next(iter(profile.values()))[1][0] for profile in branch.profiles]
    lengths = [
        shapes[1][1] for profile in branch.profiles for name, shapes in profile.items() if name == "input_ids"
    ]
    return branch_config(
        branch.model,
        "tensorrt" if is_engine else "onnxruntime",
        branch.inputs,
        branch.outputs,
        max_batch=branch.max_batch,
        preferred=_sorted_below(optima, branch.max_batch),
        queue_delay=options.queue_delay,
        instances=options.instances,
        gpu=options.gpu or is_engine,
        profiles=len(branch.profiles),
        warm_up_length=lengths[0] if lengths else min(WARM_UP_TOKENS, longest),
    )


def _sorted_below(sizes: Sequence[int], most: int) -> list[int]:
    return sorted({size for size in sizes if size <= most})


def _width(text: ServedBranch) -> int:
    return next(int(item.shape[-1]) for item in text.outputs if item.name == "text_features")


def _refuse_to_replace_other_things(output: Path, name: str) -> None:
    """A repository of this program, an empty folder or nothing may be replaced."""
    if output.is_dir() and any(output.iterdir()) and not any(output.glob("*/*/served.json")):
        raise MGHFTError(f"{output} is a folder with other files in it; choose another place with -o")
