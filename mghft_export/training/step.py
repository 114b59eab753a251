"""What one training step computes: the model's forward, without what no loss reads.

Identity: the head reads only the fusion block's first token, and no other token of the block's output depends on
anything that it needs; so queries, output projection and MLP of the other tokens are not computed. Dropout apart,
logits and gradients are those of :class:`~mghft_export.model.mghft.MGHFT`.
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
"""What a cosine of 1 with a prototype counts as a logit."""


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
    """Of the pyramid's attention logits (`training/attention_variance.py`), a scalar."""


class TrainingModel(nn.Module):
    """MGHFT as a module whose forward gives what the losses need.

    Args:
        blank_images: all images of a batch are the same blank one, so the pyramid sees it once.
        prototypes: unit vectors [classes, d]; logits are then cosines of the head's d outputs with them, times 16.
        attention_variance: give the variance of the pyramid's attention logits, too.
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
        """The outputs for a batch, and those with one input less where they are asked for.

        Args:
            image: [B, 3, H, W].
            pooled_text: [B, 4, bert_dim], or else token ids and mask [B, 4, L]; none of them for stickers without text.
            without_text: run the same images without text, too.
            wrong_image: [B] bool, where a text is seen with the image of the sticker before; each image without text
                stays its own.
            blank: an image [3, H, W] that takes the place of all images in another run.
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
        """What left the pyramid and text features [B, 4, C] -> logits [B, classes], and the tokens on the way."""
        model = self.model
        hierarchy = fuse_stages(model.vision_model, stages, text_features)
        x = model.v_proj(hierarchy.tokens) + model.pos_embed
        first = first_token(model.fusion_model, x, model.vl_proj(hierarchy.text_tokens))
        logits = model.head(first)
        if self.prototypes is not None:
            logits = COSINE_SCALE * F.normalize(logits, dim=-1) @ self.prototypes.T
        return logits, hierarchy

    def blank_stages(self, blank: Tensor, batch: int) -> dict[int, StageTokens]:
        """One image [3, H, W] for each sticker of a batch; the pyramid sees it once."""
        stages = self.model.vision_model(blank.unsqueeze(0))
        return {number: repeated(tokens, batch) for number, tokens in stages.items()}


def images_seen(wrong: Tensor) -> Tensor:
    """Which image of the batch each text is seen with, [B] int64: where it is marked, [B] bool, the one before."""
    own = torch.arange(len(wrong), device=wrong.device)
    return torch.where(wrong, own.roll(1), own)


def exchanged(stages: dict[int, StageTokens], chosen: Tensor) -> dict[int, StageTokens]:
    """The tokens of the chosen images, [B] int64."""
    return {
        number: StageTokens(*(value[chosen] for value in vars(tokens).values()))
        for number, tokens in stages.items()
    }


def repeated(tokens: StageTokens, batch: int) -> StageTokens:
    """One image's tokens for each sticker of a batch."""
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
