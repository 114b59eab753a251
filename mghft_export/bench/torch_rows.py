"""PyTorch's rows: the model as released and our fused form, in eager mode, compiled or with autocast.

Weights are random, because latency does not depend on them.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from mghft_export.bench.inputs import (
    Batch,
    distinct_views,
    pixel_batches,
    preprocessing,
    sticker_batches,
    text_batches,
)
from mghft_export.bench.subjects import Subject
from mghft_export.bundle import Bundle, load_bundle
from mghft_export.bundle.tokenizer import bundle_tokenizer
from mghft_export.config import MGHFTConfig
from mghft_export.errors import MGHFTError
from mghft_export.fused.fusion import FusedFusion
from mghft_export.fused.mghft import fuse
from mghft_export.fused.vision import FusedVision
from mghft_export.model.mghft import MGHFT, MGHFTOutput
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.preprocess import preprocess_batch

Step = Callable[..., object]
Tensors = tuple[Tensor, ...]

AUTOCAST = {"cpu": torch.bfloat16, "cuda": torch.float16}
"""The default type of PyTorch's autocast on each device."""


def prepare_torch(subject: Subject) -> Callable[[], object]:
    """A function that runs once.

    Raises:
        MGHFTError: PyTorch has no GPU here, or does not have the provider.
    """
    if subject.provider == "tensorrt":
        raise MGHFTError("PyTorch has no TensorRT provider; use --provider cpu or cuda for its rows")
    device = subject.provider
    if device == "cuda" and not torch.cuda.is_available():
        raise MGHFTError("PyTorch finds no CUDA device on this machine")
    torch.set_num_threads(subject.threads)
    torch.manual_seed(0)
    bundle = load_bundle(subject.bundle)
    config = MGHFTConfig.from_dict(bundle.manifest.model)
    step = _released(subject, config) if subject.implementation == "as-released" else _fused(subject, config)
    if subject.mode.startswith("compile"):
        step = torch.compile(step, dynamic=False)
    batches = sticker_batches(subject)
    views = 4 if subject.implementation == "as-released" else distinct_views(bundle)
    load = _loader(subject, bundle, config, batches, views)
    numbers = itertools.cycle(range(len(batches)))
    from_host = subject.io_transfers or subject.part == "pipeline"
    resident = [] if from_host else [_moved(load(number), device) for number in range(len(batches))]

    def once() -> object:
        number = next(numbers)
        with torch.inference_mode(), _autocast(subject):
            output = _tensors(step(*(_moved(load(number), device) if from_host else resident[number])))
            if from_host:
                output = _moved(output, "cpu")
            if device == "cuda":
                torch.cuda.synchronize()
            return [tensor.float().softmax(-1) for tensor in output] if subject.part == "pipeline" else output

    return once


def _moved(tensors: Tensors, device: str) -> Tensors:
    return tuple(tensor.to(device) for tensor in tensors)


def _autocast(subject: Subject) -> contextlib.AbstractContextManager[object]:
    dtypes = {
        "autocast": AUTOCAST[subject.provider],
        "compile-fp16": torch.float16,
        "compile-bf16": torch.bfloat16,
    }
    if subject.mode not in dtypes:
        return contextlib.nullcontext()
    return torch.autocast(subject.provider, dtype=dtypes[subject.mode])


def _released(subject: Subject, config: MGHFTConfig) -> Step:
    """The model as released. It takes token ids [B, 4, L], or pooled texts [B, 4, bert_dim]."""
    with_text = subject.part in ("text", "whole", "pipeline")
    model = MGHFT(config, reattention="as_released", text_model=with_text).eval().to(subject.provider)
    steps: dict[str, Step] = {
        "vision": lambda image: model.vision_model(image),
        "vision+fusion": lambda image, pooled: model(image, pooled_text=pooled).logits,
        "text": lambda ids, mask: model.l_proj(model.encode_text(ids, mask)),
    }
    return steps.get(subject.part, lambda image, ids, mask: model(image, ids, mask).logits)


def _fused(subject: Subject, config: MGHFTConfig) -> Step:
    """Our fused form. It takes token ids [B, views, L], or text features [B, 4, C]."""
    with_text = subject.part in ("text", "whole", "pipeline")
    model = MGHFT(config, text_model=with_text).eval()
    if not with_text:
        vision = FusedVision(model.vision_model).eval().to(subject.provider)
        fusion = FusedFusion(model).eval().to(subject.provider)
        if subject.part == "vision":
            return lambda image: vision(image)
        return lambda image, features: fusion(*vision(image), features)
    fused = fuse(model).to(subject.provider)
    if subject.part == "text":
        return lambda ids, mask: fused.text(ids.flatten(0, 1), mask.flatten(0, 1))
    return lambda image, ids, mask: fused(image, ids, mask)


def _loader(
    subject: Subject, bundle: Bundle, config: MGHFTConfig, batches: list[Batch], views: int
) -> Callable[[int], Tensors]:
    """A function from a batch's number to its inputs. The pipeline makes them anew; all other parts keep them."""
    tokenizer = bundle_tokenizer(bundle)
    texts = text_batches(batches, bundle, tokenizer, views=views, length=subject.length)
    longest = texts[0].input_ids.shape[1]

    def tokens(number: int) -> Tensors:
        shape = (subject.batch, views)
        ids, mask = texts[number].input_ids, texts[number].attention_mask
        return torch.from_numpy(ids).unflatten(0, shape), torch.from_numpy(mask).unflatten(0, shape)

    if subject.part == "pipeline":
        spec, background = preprocessing(bundle), bundle.manifest.image.background

        def from_files(number: int) -> Tensors:
            images = [open_sticker(sticker.image, background=background) for sticker in batches[number]]
            # Texts are tokenised anew, too. `longest` is the common length of all batches.
            (own,) = text_batches([batches[number]], bundle, tokenizer, views=views, length=longest)
            shape = (subject.batch, views)
            return (
                torch.from_numpy(preprocess_batch(images, spec)),
                torch.from_numpy(own.input_ids).unflatten(0, shape),
                torch.from_numpy(own.attention_mask).unflatten(0, shape),
            )

        return from_files
    if subject.part == "text":
        return tokens
    pixels = [torch.from_numpy(array) for array in pixel_batches(batches, bundle)]
    if subject.part == "vision":
        return lambda number: (pixels[number],)
    if subject.part == "whole":
        return lambda number: (pixels[number], *tokens(number))
    width = config.bert_dim if subject.implementation == "as-released" else config.shared_dim
    features = torch.randn(subject.batch, 4, width)
    return lambda number: (pixels[number], features)


def _tensors(output: object) -> Tensors:
    """The tensors among what a step returned."""
    if isinstance(output, Tensor):
        return (output,)
    if isinstance(output, MGHFTOutput):
        return (output.logits,)
    if isinstance(output, (tuple, list)):
        return tuple(tensor for item in output for tensor in _tensors(item))
    if isinstance(output, dict):
        return tuple(tensor for item in output.values() for tensor in _tensors(item))
    return tuple(tensor for item in vars(output).values() for tensor in _tensors(item)) if output else ()
