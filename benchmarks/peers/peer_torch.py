"""The vision branch in PyTorch with a bundle's weights: as released, fused, compiled."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from peer_inputs import Images, images
from safetensors.torch import load_file, save_file
from torch import Tensor

from mghft_export.bundle import Bundle, load_bundle
from mghft_export.config import MGHFTConfig
from mghft_export.files.atomic import replacing_file
from mghft_export.files.hashing import sha256
from mghft_export.fused.branch_modules import vision_outputs
from mghft_export.fused.vision import FusedVision
from mghft_export.model.checkpoint import build_model, load_checkpoint
from mghft_export.model.checkpoint_choice import default_checkpoint_path
from mghft_export.model.mghft import MGHFT
from mghft_export.model.pyramid import Pyramid
from mghft_export.runtime.graph_session import open_graph

SAME_WEIGHTS = 1e-3
"""Largest difference of a class token between PyTorch and the float32 graph if both have the same weights."""

Outputs = dict[str, np.ndarray]
Step = Callable[[Tensor], tuple[Tensor, ...]]


def rebuild_weights(root: Path, target: Path, remark: Path) -> None:
    """Write the weights that a bundle was exported from, and a JSON remark if they are other weights, else null.

    If the bundle's checkpoint is not available, the weights are random: only the outputs depend on them, not the time.
    """
    bundle = load_bundle(root)
    config = MGHFTConfig.from_dict(bundle.manifest.model)
    model = _original(bundle, config)
    reason = None
    if model is None:
        reason = f"the weights of {bundle.manifest.checkpoint.name} are not at hand"
        model = MGHFT(config, text_model=False).eval()
    elif not _same(bundle, model.vision_model):
        reason = "the weights made here are not the bundle's"
    with replacing_file(remark) as partial:
        partial.write_text(json.dumps(reason) + "\n", encoding="utf-8")
    with replacing_file(target) as partial:
        state = {name: value.contiguous() for name, value in model.vision_model.state_dict().items()}
        save_file(state, str(partial))


def _original(bundle: Bundle, config: MGHFTConfig) -> MGHFT | None:
    """mghft-mini, or random weights of a seed, as `mghft-export onnx` makes them."""
    from mghft_export.exporting.sources import PRESETS, random_source

    changes = {"image_size": config.image_size, "views": config.views, "pooling": config.pooling}
    entry = bundle.manifest.checkpoint
    if entry.sha256 is not None and entry.sha256 == sha256(default_checkpoint_path()):
        return build_model(load_checkpoint(default_checkpoint_path(), **changes))
    drawn = re.fullmatch(r"random weights of (\w+), seed (\d+)", entry.name)
    if drawn is not None and drawn[1] in PRESETS:
        return random_source(drawn[1], int(drawn[2]), changes).model
    return None


def _same(bundle: Bundle, pyramid: Pyramid) -> bool:
    pixels = images(bundle, 1)
    wanted = open_graph(bundle.graph("vision"), provider="cpu").run({"image": pixels})
    with torch.inference_mode():
        found = FusedVision(pyramid).eval()(torch.from_numpy(pixels))
    pairs = zip(vision_outputs(pyramid.config), found, strict=True)
    return all(
        np.abs(tensor.numpy() - wanted[name]).max() <= SAME_WEIGHTS
        for name, tensor in pairs
        if name.endswith("class_token")
    )


def released(bundle: Bundle, weights: Path) -> Step:
    """The released form, run eagerly."""
    pyramid = _pyramid(bundle, weights, as_released=True)

    def step(image: Tensor) -> tuple[Tensor, ...]:
        leaving = pyramid(image)
        return tuple(
            tensor
            for stage in sorted(leaving)
            for tensor in (leaving[stage].parts, leaving[stage].class_token)
        )

    return step


def fused(bundle: Bundle, weights: Path) -> FusedVision:
    """Our inference form."""
    return FusedVision(_pyramid(bundle, weights, as_released=False)).eval()


def _pyramid(bundle: Bundle, weights: Path, *, as_released: bool) -> Pyramid:
    config = MGHFTConfig.from_dict(bundle.manifest.model)
    pyramid = Pyramid(config, "as_released" if as_released else "row_only")
    pyramid.load_state_dict(load_file(str(weights)))
    return pyramid.eval().requires_grad_(False)


def compiled(bundle: Bundle, weights: Path) -> Step:
    """`torch.compile` with its defaults (Inductor), of our inference form."""
    step: Step = torch.compile(fused(bundle, weights), dynamic=False)
    return step


def compile_ahead(root: Path, weights: Path, batch: int, threads: int, target: Path) -> None:
    """AOTInductor's package of our inference form at one batch size."""
    torch.set_num_threads(threads)
    bundle = load_bundle(root)
    module = fused(bundle, weights)
    image = bundle.manifest.image
    with torch.no_grad():
        program = torch.export.export(module, (torch.zeros(batch, 3, image.height, image.width),))
    target.parent.mkdir(parents=True, exist_ok=True)
    # replacing_file is not used, because the package stores its own name. It is written last, so it is complete.
    partial = target.with_name(f"new-{target.name}")
    torch._inductor.aoti_compile_and_package(program, package_path=str(partial))
    partial.replace(target)


def ahead(package: Path) -> Step:
    """Load the package that :func:`compile_ahead` wrote."""
    step: Step = torch._inductor.aoti_load_package(str(package))
    return step


def runner(step: Step, names: list[str]) -> Callable[[Images], Outputs]:
    """A function that takes arrays and returns arrays by output name."""

    def run(pixels: Images) -> Outputs:
        with torch.inference_mode():
            found = step(torch.from_numpy(pixels))
        return {name: tensor.numpy() for name, tensor in zip(names, found, strict=True)}

    return run
