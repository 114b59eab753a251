"""The forward pass of one training step: the model's forward, without the parts that no loss reads.

The head reads only the first token of the fusion block's output, and this token does not depend on the block's other
outputs. So queries, output projection and MLP of the other tokens are not computed. Apart from dropout, logits and
gradients equal those of :class:`~mghft_export.model.mghft.MGHFT`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mghft_export.model.fusion import FusionBlock, HierarchicalTokens, fuse_stages
from mghft_export.model.mghft import MGHFT
from mghft_export.model.pyramid import StageTokens
from mghft_export.training.attention_variance import watch_attention

COSINE_SCALE = 16.0
"""The logit for a cosine of 1 with a prototype."""


@dataclass
class StepOutput:
    """What the losses read: logits [B, classes], class tokens and text features [B, 4, C]."""

    logits: Tensor
    class_tokens: Tensor
    text_features: Tensor
    without_text: Tensor | None = None
    """Logits of the same images without their texts."""
    without_image: Tensor | None = None
    """Logits of the same texts with a blank image."""
    attention_variance: Tensor | None = None
    """The variance of the pyramid's attention logits (`training/attention_variance.py`), a scalar."""


class TrainingModel(nn.Module):
    """MGHFT as a module that returns what the losses need.

    Args:
        blank_images: all images of a batch are the same blank one, so the pyramid runs on it once.
        prototypes: unit vectors [classes, d]; logits are then cosines of the head's d outputs with them, times 16.
        attention_variance: also return the variance of the pyramid's attention logits.
    """

    def __init__(
        self,
        model: MGHFT,
        *,
        blank_images: bool = False,
        prototypes: Tensor | None = None,
        attention_variance: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.blank_images = blank_images
        self.attention_variance = watch_attention(model.vision_model) if attention_variance else None
        self.prototypes: Tensor | None
        self.register_buffer("prototypes", prototypes, persistent=False)

    def forward(
        self,
        image: Tensor,
        pooled_text: Tensor | None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        without_text: bool = False,
        wrong_image: Tensor | None = None,
        blank: Tensor | None = None,
    ) -> StepOutput:
        """The outputs for a batch and, on request, those with one input less.

        Args:
            image: [B, 3, H, W].
            pooled_text: [B, 4, bert_dim], or else token ids and mask [B, 4, L]; none of them for stickers without text.
            without_text: also run the images without text.
            wrong_image: [B] bool; a marked sticker runs with the image of the sticker before it in the batch. The run
                without text uses each sticker's own image.
            blank: an image [3, H, W]; if given, also run the texts with it in place of all images.
        """
        model = self.model
        if pooled_text is None and input_ids is not None:
            assert attention_mask is not None
            pooled_text = model.encode_text(input_ids, attention_mask)
        texts = model.text_features(pooled_text, len(image))
        blank_stages = self.blank_images
        stages = self.blank_stages(image[0], len(image)) if blank_stages else model.vision_model(image)
        seen = stages if wrong_image is None else exchanged(stages, images_seen(wrong_image))
        logits, hierarchy = self.classify(seen, texts)
        output = StepOutput(logits, hierarchy.class_tokens, texts)
        if self.attention_variance is not None:  # before the blank image is run
            output.attention_variance = self.attention_variance()
        if without_text:
            output.without_text, _ = self.classify(stages, model.text_features(None, len(image)))
        if blank is not None:
            output.without_image, _ = self.classify(self.blank_stages(blank, len(image)), texts)
        return output

    def classify(
        self, stages: dict[int, StageTokens], text_features: Tensor
    ) -> tuple[Tensor, HierarchicalTokens]:
        """The pyramid's tokens and text features [B, 4, C] -> logits [B, classes], and the tokens before fusion."""
        model = self.model
        hierarchy = fuse_stages(model.vision_model, stages, text_features)
        x = model.v_proj(hierarchy.tokens) + model.pos_embed
        first = first_token(model.fusion_model, x, model.vl_proj(hierarchy.text_tokens))
        logits = model.head(first)
        if self.prototypes is not None:
            logits = COSINE_SCALE * F.normalize(logits, dim=-1) @ self.prototypes.T
        return logits, hierarchy

    def blank_stages(self, blank: Tensor, batch: int) -> dict[int, StageTokens]:
        """The tokens of one image [3, H, W], repeated for each sticker of a batch; the pyramid runs once."""
        stages = self.model.vision_model(blank.unsqueeze(0))
        return {number: repeated(tokens, batch) for number, tokens in stages.items()}


def images_seen(wrong: Tensor) -> Tensor:
    """Index of the image that each sticker runs with, [B] int64: its own, or the one before if marked, [B] bool."""
    own = torch.arange(len(wrong), device=wrong.device)
    return torch.where(wrong, own.roll(1), own)


def exchanged(stages: dict[int, StageTokens], chosen: Tensor) -> dict[int, StageTokens]:
    """The tokens of the chosen images; `chosen` is [B] int64."""
    return {
        number: StageTokens(*(value[chosen] for value in vars(tokens).values()))
        for number, tokens in stages.items()
    }


def repeated(tokens: StageTokens, batch: int) -> StageTokens:
    """One image's tokens, repeated for each sticker of a batch."""
    return StageTokens(*(value.expand(batch, *value.shape[1:]) for value in vars(tokens).values()))


def first_token(block: FusionBlock, x: Tensor, text: Tensor) -> Tensor:
    """Row 0 of the fusion block's output: [B, N, D], [B, T, D] -> [B, D]."""
    attention = block.attn
    normed = block.attention_norm(x)
    query = attention.split(attention.query(normed[:, :1]))  # [B, heads, 1, d]
    key, value = attention.split(attention.key(normed)), attention.split(attention.value(normed))
    text_key, text_value = attention.split(attention.key(text)), attention.split(attention.value(text))
    guided = torch.softmax(query @ text_key.transpose(-2, -1) * attention.scale, dim=-1) @ text_value
    context = torch.softmax(guided @ key.transpose(-2, -1) * attention.scale, dim=-1) @ value
    row = x[:, :1] + attention.out(context.transpose(1, 2).flatten(2))
    row = row + block.ffn(block.ffn_norm(row))
    return row[:, 0]
