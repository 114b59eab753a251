"""What one training step computes: the model's forward, without what no loss reads.

Identity: the head reads only the fusion block's first token, and no other token of the block's output depends on
anything that it needs; so queries, output projection and MLP of the other tokens are not computed. Dropout apart,
logits and gradients are those of :class:`~mghft_export.model.mghft.MGHFT`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mghft_export.model.fusion import FusionBlock, fuse_stages
from mghft_export.model.mghft import MGHFT
from mghft_export.model.pyramid import StageTokens


class TrainingModel(nn.Module):
    """MGHFT as a module whose forward gives what the losses need.

    Args:
        blank_images: all images of a batch are the same blank one, so the pyramid sees it once.
    """

    def __init__(self, model: MGHFT, *, blank_images: bool = False) -> None:
        super().__init__()
        self.model = model
        self.blank_images = blank_images

    def forward(
        self,
        image: Tensor,
        pooled_text: Tensor | None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [B, classes], class tokens [B, 4, C] and text features [B, 4, C].

        From images [B, 3, H, W] and pooled texts [B, 4, bert_dim], or token ids and mask [B, 4, L].
        """
        model = self.model
        if pooled_text is None:
            assert input_ids is not None
            assert attention_mask is not None
            pooled_text = model.encode_text(input_ids, attention_mask)
        text_features = model.l_proj(pooled_text)
        stages = model.vision_model(image[:1] if self.blank_images else image)
        if self.blank_images:
            stages = {number: repeated(tokens, len(image)) for number, tokens in stages.items()}
        hierarchy = fuse_stages(model.vision_model, stages, text_features)
        x = model.v_proj(hierarchy.tokens) + model.pos_embed
        first = first_token(model.fusion_model, x, model.vl_proj(hierarchy.text_tokens))
        return model.head(first), hierarchy.class_tokens, text_features


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
