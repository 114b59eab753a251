"""Prepares a run: processes and precision, both splits as tensors, model, optimizer and schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.scheduler.scheduler import Scheduler
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mghft_export.errors import MGHFTError
from mghft_export.files.cache_folder import cache_folder
from mghft_export.model.checkpoint import (
    load_checkpoint,
    load_imagenet_weights,
    load_state,
    read_safetensors,
)
from mghft_export.model.checkpoint_choice import TextChoice
from mghft_export.model.mghft import MGHFT
from mghft_export.model.text_weights import PREFIX, TextWeights, from_place, load_text_weights, pinned
from mghft_export.stickers.dataset import Sticker, StickerSet
from mghft_export.stickers.text_tokens import default_tokenizer_path, load_tokenizer
from mghft_export.stickers.views import split_views
from mghft_export.training.data import EpochBatches, Item, StickerData, choose, collate, tokenize
from mghft_export.training.losses import class_weights
from mghft_export.training.pooled_texts import frozen_text_features
from mghft_export.training.prototypes import class_prototypes
from mghft_export.training.qat.learned_ranges import LearnedRanges
from mghft_export.training.qat.run import quantised, restore_ranges
from mghft_export.training.qat.start import QatPlan
from mghft_export.training.random_state import seed_everything
from mghft_export.training.recipe import Recipe
from mghft_export.training.state import TrainingState
from mghft_export.training.step import TrainingModel


def make_accelerator(recipe: Recipe) -> Accelerator:
    """Accelerate for the recipe's precision; torchrun or the machine decides the devices.

    Raises:
        MGHFTError: float16 on a CPU.
    """
    if recipe.precision == "fp16" and not torch.cuda.is_available():
        raise MGHFTError("fp16 training needs a GPU; use --precision bf16 or fp32")
    names = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
    return Accelerator(
        mixed_precision=names[recipe.precision],
        gradient_accumulation_steps=recipe.accumulate,
        step_scheduler_with_optimizer=False,
    )


def text_weights_of(recipe: Recipe) -> TextWeights | None:
    """Where the recipe's text weights lie.

    Raises:
        MGHFTError: the encoder is frozen and has no weights.
    """
    weights = None if recipe.text_weights is None else from_place(recipe.text_weights)
    if weights is None and not recipe.tune_text:
        raise MGHFTError(
            "a frozen text encoder needs weights: give --text-weights (minilm, a folder or a hub name), or --tune-text"
        )
    return weights


def prepare_data(
    dataset: StickerSet, recipe: Recipe, accelerator: Accelerator, tokenizer: Path | None, cache: Path | None
) -> tuple[StickerData, StickerData, TextWeights | None]:
    """Both splits as tensors, and the frozen text encoder's reference (None if the encoder is trained)."""
    config = recipe.build_config(len(dataset.class_names))
    weights = text_weights_of(recipe)
    if recipe.no_text_weight and not config.no_text:
        raise MGHFTError("no_text_weight trains features for stickers without text; add model.no_text=true")
    if recipe.tune_text and recipe.inputs == "image":
        raise MGHFTError("inputs=image has no text to tune; leave out --tune-text")
    chosen = [choose(dataset, split, recipe) for split in (recipe.train_split, recipe.val_split)]
    found = load_tokenizer(tokenizer or default_tokenizer_path())

    def texts_of(texts: list[str]) -> Tensor:
        if recipe.inputs == "image":
            return torch.zeros(len(texts), 4, config.bert_dim)
        if recipe.tune_text:
            return tokenize(texts, found, config)
        assert weights is not None
        return frozen_text_features(texts, found, config, weights, cache or cache_folder("text"))

    def data_of(stickers: tuple[Sticker, ...], *, augment: bool) -> StickerData:
        texts, views = texts_of([sticker.text for sticker in stickers]), None
        if recipe.single_view and recipe.inputs != "image":
            single = [view for sticker in stickers for view in split_views(sticker.text).views]
            views = texts_of(single).unflatten(0, (len(stickers), 4))
        return StickerData(stickers, texts, config, recipe, augment=augment, single_views=views)

    with accelerator.main_process_first():  # it fills the cache that the others read
        train_data, val_data = data_of(chosen[0], augment=True), data_of(chosen[1], augment=False)
    return train_data, val_data, None if recipe.tune_text else weights


def build(dataset: StickerSet, recipe: Recipe, weights: TextWeights | None) -> MGHFT:
    """The model at the start of its training; a frozen text encoder is not part of it."""
    config = recipe.build_config(len(dataset.class_names))
    model = MGHFT(config, text_model=recipe.tune_text)
    if model.text_model is not None and recipe.text_weights is not None:
        model.text_model.load_state_dict(load_text_weights(from_place(recipe.text_weights)))
    if recipe.imagenet is not None:
        load_imagenet_weights(model.vision_model, recipe.imagenet)
    if recipe.pretrained is not None:
        load_pretrained(model, recipe.pretrained)
    freeze_unread(model, recipe)
    if recipe.freeze_pyramid:
        freeze_pyramid(model)
    return model


def load_pretrained(model: MGHFT, path: Path) -> None:
    """Start from a checkpoint that was trained for other classes, on images alone.

    Its head, text projection and text encoder are not loaded.

    Raises:
        MGHFTError: the checkpoint has another configuration.
    """
    state = read_safetensors(path)
    own = {
        key: value
        for key, value in model.state_dict().items()
        if not key.startswith(("head.", "l_proj.", PREFIX))
    }
    for key, value in own.items():
        if key not in state or state[key].shape != value.shape:
            raise MGHFTError(
                f"{path} does not fit the recipe's model: it has no {key!r} with shape {list(value.shape)}; "
                "pretrain it with the same model"
            )
    model.load_state_dict({key: state[key].float() for key in own}, strict=False)


def load_start(model: MGHFT, path: Path, class_names: Sequence[str], text_weights: str | None) -> None:
    """Start from the weights of a checkpoint; a frozen text encoder is not part of them.

    Args:
        text_weights: the recipe's `text_weights`.

    Raises:
        MGHFTError: it has other classes or another configuration; only dropout may differ.
    """
    checkpoint = load_checkpoint(path, text=TextChoice(text_weights))
    if checkpoint.class_names != tuple(class_names):
        raise MGHFTError(
            f"{path} has the classes {', '.join(checkpoint.class_names)}, the data {', '.join(class_names)}; "
            "give a checkpoint of this data's classes"
        )
    own, found = model.config.to_dict(), checkpoint.config.to_dict()
    for key in own:
        if key not in {"drop_path", "fusion_dropout"} and own[key] != found[key]:
            raise MGHFTError(
                f"{path} was trained with {key} {found[key]}, the recipe has {own[key]}; "
                "give the recipe that it was trained with"
            )
    state = checkpoint.state
    if model.text_model is None:
        state = {key: value for key, value in state.items() if not key.startswith(PREFIX)}
    load_state(model, state)


@torch.no_grad()
def standardize_input(layer: nn.Linear, features: Tensor) -> None:
    """Fold (x - mean) / deviation of the features [..., D] into a layer's initial weights.

    Features of one encoder have much in common, and a new layer would spend its first epochs learning to remove that.
    """
    rows = features.flatten(0, -2)
    mean, deviation = rows.mean(dim=0), rows.std(dim=0).clamp(min=1e-6)
    layer.weight.div_(deviation)
    layer.bias.sub_(layer.weight @ mean)


def freeze_pyramid(model: MGHFT) -> None:
    """Freeze the pyramid except for the projections of the stages' tokens."""
    for name, parameter in model.vision_model.named_parameters():
        if name.startswith(("patch_embed", "pos_embed", "cls_token", "block")):
            parameter.requires_grad_(False)


def freeze_unread(model: MGHFT, recipe: Recipe) -> None:
    """Freeze the parameters that no loss reads: DistributedDataParallel must know that they get no gradient."""
    pyramid = model.vision_model
    pyramid.tau.requires_grad_(False)
    pyramid.norm_t.requires_grad_(False)
    for stage in range(3):
        if not model.config.has_class_token(stage):
            getattr(pyramid, f"cross_proj{stage + 1}").requires_grad_(False)
    if model.text_model is not None and getattr(model.text_model, "pooler", None) is not None:
        model.text_model.pooler.requires_grad_(False)


@dataclass
class Run:
    """All that the epochs of a run need.

    Attributes:
        text_weights: the reference to frozen text weights that checkpoints carry.
        bare: the module that is trained, before the compiler and Accelerate wrap it.
        network: the same module after they wrapped it.
        left_out: quantised products that training does not run through.
        start: the checkpoint to fine-tune.
    """

    dataset: StickerSet
    recipe: Recipe
    model: MGHFT
    text_weights: TextWeights | None
    bare: nn.Module
    network: nn.Module
    has_prototypes: bool
    optimizer: Any
    scheduler: Scheduler
    batches: EpochBatches
    loader: DataLoader[Item]
    val_data: StickerData
    weight_by_class: Tensor | None
    plan: QatPlan | None
    ranges: LearnedRanges | None
    left_out: list[str]
    start: Path | None


def prepare_run(
    dataset: StickerSet,
    recipe: Recipe,
    accelerator: Accelerator,
    output: Path,
    saved: TrainingState | None,
    start: Path | None,
    plan: QatPlan | None,
    tokenizer: Path | None,
    cache: Path | None,
) -> Run:
    """Read the data, build the model, and load a saved run's state into both model and optimizer.

    Raises:
        MGHFTError: the data, the recipe and the checkpoints do not fit together.
    """
    train_data, val_data, weights = prepare_data(dataset, recipe, accelerator, tokenizer, cache)
    seed_everything(recipe.seed)  # after the data: without a cache, reading it draws random numbers
    model = build(dataset, recipe, weights)
    if start is not None:
        load_start(model, start, dataset.class_names, recipe.text_weights)
    elif recipe.standardize_text and not recipe.tune_text and recipe.inputs != "image":
        standardize_input(model.l_proj, train_data.texts)
    if saved is not None:
        model.load_state_dict(saved.model)
    train_data.decode()
    prototypes = _prototypes(train_data, recipe)
    bare: nn.Module = TrainingModel(
        model,
        blank_images=recipe.inputs == "text",
        prototypes=prototypes,
        attention_variance=recipe.attention_variance_weight > 0,
    )
    ranges: LearnedRanges | None = None
    left_out: list[str] = []
    if plan is not None:
        bare, ranges, left_out = quantised(model, plan)
    if saved is not None:
        restore_ranges(ranges, saved.ranges, output)
    optimizer, scheduler = make_optimizer(model, ranges, recipe, accelerator)
    if saved is not None:
        optimizer.load_state_dict(saved.optimizer)
        scheduler.load_state_dict(saved.scheduler)
        if accelerator.scaler is not None and saved.scaler:
            accelerator.scaler.load_state_dict(saved.scaler)
    network: nn.Module = torch.compile(bare) if recipe.compile else bare  # type: ignore[assignment]
    network, optimizer = accelerator.prepare(network, optimizer)
    batches = EpochBatches(
        train_data, recipe.batch_size, accelerator.process_index, accelerator.num_processes
    )
    loader = DataLoader(
        train_data,
        batch_sampler=batches,
        num_workers=recipe.workers,
        collate_fn=collate,
        persistent_workers=recipe.workers > 0,
    )
    return Run(
        dataset,
        recipe,
        model,
        weights if weights is None or recipe.inputs == "image" else pinned(weights),
        bare,
        network,
        prototypes is not None,
        optimizer,
        scheduler,
        batches,
        loader,
        val_data,
        class_weights(train_data, len(dataset.class_names)) if recipe.balanced else None,
        plan,
        ranges,
        left_out,
        start,
    )


def make_optimizer(
    model: MGHFT, ranges: LearnedRanges | None, recipe: Recipe, accelerator: Accelerator
) -> tuple[Any, Scheduler]:
    """The recipe's optimizer, with a rate proportional to the global batch, and its cosine schedule with a warm-up."""
    whole = recipe.batch_size * accelerator.num_processes * recipe.accumulate
    optimizer = create_optimizer_v2(
        model, opt=recipe.optimizer, lr=recipe.base_lr * whole / 512, weight_decay=recipe.weight_decay
    )
    if ranges is not None:
        optimizer.add_param_group(
            {"params": list(ranges.parameters()), "lr": recipe.range_lr, "weight_decay": 0.0}
        )
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=recipe.epochs,
        warmup_epochs=recipe.warmup_epochs,
        warmup_lr=recipe.warmup_lr,
        min_lr=recipe.min_lr,
        warmup_prefix=False,
    )
    assert scheduler is not None
    return optimizer, scheduler


def _prototypes(data: StickerData, recipe: Recipe) -> Tensor | None:
    if not recipe.prototypes:
        return None
    labels = np.array([sticker.label for sticker in data.stickers])
    images = (data.open(number) for number in range(len(data)))
    return class_prototypes(images, labels, recipe.prototypes)
