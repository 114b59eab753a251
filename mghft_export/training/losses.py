"""The losses of one training step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mghft_export.model.loss import Losses, alignment_loss
from mghft_export.training.data import Batch, StickerData, texts_of
from mghft_export.training.distributed import gather_with_gradient
from mghft_export.training.recipe import Recipe
from mghft_export.training.step import StepOutput


def step_losses(
    network: nn.Module, batch: Batch, recipe: Recipe, blank: Tensor, weight_by_class: Tensor | None = None
) -> Losses:
    """The losses of one batch, in float32; the alignment loss covers the batches of all processes.

    Args:
        blank: a blank image [3, H, W].
        weight_by_class: weights of the cross entropy, [classes].
    """
    both = recipe.inputs == "both"
    output: StepOutput = network(
        batch.image,
        *texts_of(batch, recipe),
        without_text=both and recipe.no_text_weight > 0,
        wrong_image=batch.wrong_image if both and recipe.wrong_image > 0 else None,
        blank=blank.to(batch.image.device) if both and recipe.blank_image_weight > 0 else None,
    )

    def cross_entropy(logits: Tensor) -> Tensor:
        weight = None if weight_by_class is None else weight_by_class.to(logits.device)
        return F.cross_entropy(logits.float(), batch.label, weight, label_smoothing=recipe.label_smoothing)

    with torch.autocast(batch.image.device.type, enabled=False):
        main = total = cross_entropy(output.logits)
        if output.without_text is not None:
            total = total + recipe.no_text_weight * cross_entropy(output.without_text)
        if output.without_image is not None:
            total = total + recipe.blank_image_weight * cross_entropy(output.without_image)
        if output.attention_variance is not None:
            total = total + recipe.attention_variance_weight * output.attention_variance
        class_tokens, text_features = output.class_tokens.float(), output.text_features.float()
        if recipe.alignment_weight == 0 or not both:
            # A blank input has nothing to align. The product with zero keeps all parameters in the autograd graph.
            alignment = (class_tokens.sum() + text_features.sum()) * 0
        else:
            alignment = alignment_loss(
                gather_with_gradient(class_tokens), gather_with_gradient(text_features)
            )
    return Losses(total + recipe.alignment_weight * alignment, main, alignment)


def class_weights(data: StickerData, classes: int) -> Tensor:
    """A weight for each class, inverse to its share of the stickers, with mean 1 over the stickers: [classes].

    A class without stickers gets the weight of a class with one sticker; no sticker uses it.
    """
    labels = torch.tensor([sticker.label for sticker in data.stickers])
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / (counts.clamp(min=1) * classes).float()
