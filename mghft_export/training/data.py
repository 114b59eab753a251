"""Stickers as tensors for training and evaluation; the seed and the epoch alone decide their order."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import Dataset

from mghft_export.config import MGHFTConfig
from mghft_export.errors import DataError
from mghft_export.stickers.dataset import Sticker, StickerSet
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.preprocess import ImagePreprocessing, preprocess
from mghft_export.stickers.text_tokens import encode
from mghft_export.stickers.views import view_texts
from mghft_export.training.line_art import line_art
from mghft_export.training.random_state import derive, seeded
from mghft_export.training.recipe import Recipe


@dataclass
class Batch:
    """Stickers of one step: text features [B, 4, bert_dim], or token ids and mask [B, 4, L]."""

    image: Tensor
    """[B, 3, H, W]"""
    label: Tensor
    """[B] int64."""
    pooled_text: Tensor | None
    input_ids: Tensor | None
    attention_mask: Tensor | None
    wrong_image: Tensor | None = None
    """[B] bool: stickers to train with another sticker's image."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        given: dict[str, Any] = {
            key: value if value is None else value.to(device) for key, value in vars(self).items()
        }
        return dataclasses.replace(self, **given)


@dataclass
class Item:
    """One sticker."""

    image: Tensor
    label: int
    text: Tensor
    """Pooled [4, bert_dim], or token ids and mask [2, 4, L]."""
    wrong_image: bool = False


class StickerData(Dataset[Item]):
    """A split as tensors.

    Args:
        texts: pooled [n, 4, bert_dim], or tokens [n, 2, 4, L].
        single_views: `texts` made of one view at a time, [n, 4, ...]; the recipe's share of stickers gets one of them.
        augment: use the training transforms; else those of evaluation.
    """

    def __init__(
        self,
        stickers: Sequence[Sticker],
        texts: Tensor,
        config: MGHFTConfig,
        recipe: Recipe,
        *,
        augment: bool,
        single_views: Tensor | None = None,
    ) -> None:
        self.stickers, self.texts, self.recipe, self.augment = stickers, texts, recipe, augment
        self.single_views = single_views
        self.config = config
        height, width = config.image_size
        self.spec = ImagePreprocessing(height, width)
        self.blank = torch.from_numpy(
            preprocess(Image.new("RGB", (width, height), recipe.background), self.spec)
        )
        """The image of an empty sticker, [3, H, W]."""
        self.images: dict[int, Image.Image] = {}
        self.prepared: dict[int, Tensor] = {}
        self.transform = create_transform(
            input_size=(3, height, width),
            is_training=True,
            auto_augment=recipe.auto_augment or None,
            color_jitter=recipe.color_jitter,
            scale=recipe.crop_scale,
            hflip=recipe.flip,
            interpolation="bicubic",
            re_prob=0.0,
            mean=self.spec.mean,
            std=self.spec.std,
        )
        keep_a_bit(self.transform)

    def __len__(self) -> int:
        return len(self.stickers)

    def __getitem__(self, index: int | tuple[int, int]) -> Item:
        """A sticker by its number, or by epoch and number, because each epoch draws other augmentations."""
        epoch, number = (0, index) if isinstance(index, int) else index
        label, text, recipe = self.stickers[number].label, self.texts[number], self.recipe
        if not self.augment or recipe.inputs == "text":
            return Item(self.evaluation_image(number), label, text)
        with seeded(recipe.seed, epoch, number):
            image = self.augmented(number)
            lost, drawn, view = torch.rand(2), torch.rand(1), torch.randint(4, (1,))
            other = torch.rand(1)
        if recipe.inputs == "image":  # the image is the only input, so it is never dropped
            return Item(image, label, text)
        whole = self.single_views is None or bool(drawn >= recipe.single_view)
        if self.single_views is not None and not whole:
            text = self.single_views[number, int(view)]
        if lost[0] < recipe.image_dropout:
            image = torch.zeros_like(image)
        elif lost[1] < recipe.text_dropout and text.is_floating_point():
            text = torch.zeros_like(text)
        return Item(image, label, text, whole and bool(other < recipe.wrong_image))

    def augmented(self, number: int) -> Tensor:
        """The image [3, H, W] with augmentations from the seeded generators."""
        image = self.open(number)
        if self.recipe.line_art and random.random() < self.recipe.line_art:
            image = line_art(image)
        return self.transform(image)

    def evaluation_image(self, number: int) -> Tensor:
        """The image [3, H, W] as every other command prepares it; cached if the recipe caches decoded images."""
        if self.recipe.inputs == "text":
            return torch.zeros_like(self.blank)
        if number in self.prepared:
            return self.prepared[number]
        image = torch.from_numpy(preprocess(self.open(number), self.spec))
        if self.recipe.cache_pixels:
            self.prepared[number] = image
        return image

    def with_one_view(self) -> StickerData | None:
        """The same stickers, each with one view of its text, taken in turn; None if there are no single views."""
        if self.single_views is None:
            return None
        turns = torch.arange(len(self)) % 4
        texts = self.single_views[torch.arange(len(self)), turns]
        found = StickerData(self.stickers, texts, self.config, self.recipe, augment=False)
        found.prepared = self.prepared
        return found

    def decode(self) -> None:
        """Decode all images now if the recipe caches them, so that worker processes that start later share them."""
        if self.recipe.cache_pixels and self.recipe.inputs != "text":
            with ThreadPoolExecutor() as threads:
                list(threads.map(self.open, range(len(self))))

    def open(self, index: int) -> Image.Image:
        """The decoded sticker, from memory if the recipe caches it."""
        if index in self.images:
            return self.images[index]
        image = open_sticker(self.stickers[index].image, background=self.recipe.background)
        if self.recipe.cache_pixels:
            scale = self.recipe.cache_pixels / min(image.size)
            if scale < 1:
                size = round(image.width * scale), round(image.height * scale)
                image = image.resize(size, Image.Resampling.BICUBIC)
            self.images[index] = image
        return image


def keep_a_bit(transform: Any) -> None:
    """Posterize to at least 1 bit: RandAugment may ask for 0, which older Pillow makes black and newer refuses."""
    for part in transform.transforms:
        for operation in getattr(part, "ops", ()):
            if operation.name.startswith("Posterize"):
                original = operation.aug_fn
                operation.aug_fn = lambda image, bits, _original=original, **rest: _original(
                    image, max(1, bits), **rest
                )


def collate(items: Sequence[Item]) -> Batch:
    """Stack items; tokens are [2, 4, L] each."""
    text = torch.stack([item.text for item in items])
    image = torch.stack([item.image for item in items])
    label = torch.tensor([item.label for item in items])
    wrong = torch.tensor([item.wrong_image for item in items])
    if text.is_floating_point():
        return Batch(image, label, text, None, None, wrong)
    return Batch(image, label, None, text[:, 0], text[:, 1], wrong)


def texts_of(batch: Batch, recipe: Recipe) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Pooled texts, token ids and mask; None for each one that the model does not get."""
    if recipe.inputs == "image" and recipe.model.get("no_text"):
        return None, None, None
    return batch.pooled_text, batch.input_ids, batch.attention_mask


def tokenize(texts: Sequence[str], tokenizer: Tokenizer, config: MGHFTConfig) -> Tensor:
    """Token ids and masks of stickers' views, [n, 2, 4, L] int64."""
    views = [view for text in texts for view in view_texts(text, config.views)]
    length = config.text_length
    tokens = encode(tokenizer, views, max_length=length, pad_to=length)
    both = np.stack([tokens.input_ids, tokens.attention_mask], axis=1)  # [4n, 2, L]
    return torch.from_numpy(both).unflatten(0, (len(texts), 4)).transpose(1, 2)


def choose(dataset: StickerSet, split: str, recipe: Recipe) -> tuple[Sticker, ...]:
    """The stickers of a split that the recipe's topics allow.

    Raises:
        DataError: the split does not exist, no sticker is left, or a sticker has no text.
    """
    topics = set(recipe.topics)
    stickers = tuple(item for item in dataset.split(split) if not topics or item.topic in topics)
    if not stickers:
        raise DataError(
            f"the {split} split of {dataset.root} has no sticker of topics {sorted(topics)}; "
            "take all topics with --set 'topics=[]'"
        )
    if recipe.inputs != "image" and not all(sticker.text.strip() for sticker in stickers):
        raise DataError(
            f"the {split} split of {dataset.root} has stickers without text; add texts, or train on images alone with "
            "--set inputs=image"
        )
    return stickers


class EpochBatches:
    """Batches of (epoch, sticker) pairs; each carries its epoch because the loader's workers live through them all."""

    def __init__(self, data: StickerData, batch_size: int, rank: int, processes: int) -> None:
        self.data, self.batch_size, self.rank, self.processes = data, batch_size, rank, processes
        self.epoch = 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in self.batches():
            yield [(self.epoch, number) for number in batch]

    def __len__(self) -> int:
        return len(self.batches())

    def batches(self) -> list[list[int]]:
        """The batches of the current epoch."""
        seed = self.data.recipe.seed
        return epoch_batches(len(self.data), self.batch_size, seed, self.epoch, self.rank, self.processes)


def epoch_batches(
    count: int, batch_size: int, seed: int, epoch: int, rank: int = 0, processes: int = 1
) -> list[list[int]]:
    """Indices of one process's batches: the shuffled epoch is cut into global batches; each process gets a slice.

    The global batches are the same for any number of processes with the same global size. Stickers that do not fill a
    global batch are left out, because the alignment loss depends on the batch size.

    Raises:
        DataError: there are fewer stickers than one global batch.
    """
    whole = batch_size * processes
    if count < whole:
        raise DataError(f"{count} training stickers are fewer than a batch of {whole}; lower batch_size")
    order = np.random.default_rng(derive(seed, epoch)).permutation(count)
    starts = range(0, count - whole + 1, whole)
    return [order[start + rank * batch_size : start + (rank + 1) * batch_size].tolist() for start in starts]
