"""MGHFT: image and four text views to emotion logits, as released and trainable."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from timm.layers import trunc_normal_
from torch import Tensor, nn
from transformers import PreTrainedModel

from mghft_export.config import MGHFTConfig
from mghft_export.model.fusion import FusionBlock, HierarchicalTokens, fuse_stages
from mghft_export.model.pyramid import Pyramid, Reattention, StageTokens
from mghft_export.model.text import build_text_encoder, encode_views


@dataclass
class MGHFTOutput:
    """The logits, and what the losses and the checks need.

    Attributes:
        logits: [B, classes].
        text_features: [B, 4, C].
        hierarchy: the tokens before the fusion block.
        stages: the tokens that leave each selecting stage, by its number from 0.
    """

    logits: Tensor
    text_features: Tensor
    hierarchy: HierarchicalTokens
    stages: dict[int, StageTokens]


class MGHFT(nn.Module):
    """The whole model (ACM MM 2025, arXiv 2507.18929), with the released parameter names.

    Args:
        config: the model's sizes and options.
        reattention: `as_released` computes what the released code computes (N x N chain, explicit softmaxes) and is the
            baseline. `row_only` computes the same selection without an N x N map; training and all else use it.
        text_model: build the text encoder. Without it, pass pooled texts to :meth:`forward`.
    """

    def __init__(
        self, config: MGHFTConfig, *, reattention: Reattention = "row_only", text_model: bool = True
    ) -> None:
        super().__init__()
        self.config = config
        shared, hidden = config.shared_dim, config.hidden_dim
        self.vision_model = Pyramid(config, reattention)
        attention = "eager" if reattention == "as_released" else "sdpa"
        self.text_model: PreTrainedModel | None = (
            build_text_encoder(config, attention) if text_model else None
        )
        self.pos_embed = nn.Parameter(torch.zeros(1, config.fusion_tokens, hidden))
        self.v_proj = nn.Linear(shared, hidden)
        self.vl_proj = nn.Linear(shared, hidden)
        self.l_proj = nn.Linear(config.bert_dim, shared)
        self.fusion_model = FusionBlock(
            hidden, config.fusion_heads, config.fusion_mlp_dim, config.fusion_dropout
        )
        self.head = nn.Linear(hidden, config.num_classes)
        self.no_text = nn.Parameter(torch.zeros(1, 4, shared)) if config.no_text else None
        """Text features of a sticker without text; the released model has none."""
        trunc_normal_(self.pos_embed, std=0.02)
        if self.no_text is not None:
            trunc_normal_(self.no_text, std=0.02)

    def encode_text(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Pooled texts, before `l_proj`: ids and mask [B, 4, L] int64 -> [B, 4, bert_dim]."""
        if self.text_model is None:
            raise RuntimeError("this model was built without a text encoder: pass pooled texts")
        return encode_views(self.text_model, input_ids, attention_mask, self.config.pooling)

    def text_features(self, pooled_text: Tensor | None, batch: int) -> Tensor:
        """Pooled texts [B, 4, bert_dim] -> [B, 4, C]; None: the features of stickers without text."""
        if pooled_text is not None:
            return self.l_proj(pooled_text)
        if self.no_text is None:
            raise ValueError("this model has no features for stickers without text: pass texts")
        return self.no_text.expand(batch, -1, -1)

    def forward(
        self,
        image: Tensor,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        pooled_text: Tensor | None = None,
    ) -> MGHFTOutput:
        """Image [B, 3, H, W] and token ids and mask [B, 4, L], or pooled texts [B, 4, bert_dim], or no text at all."""
        if pooled_text is None and input_ids is not None:
            if attention_mask is None:
                raise ValueError("pass attention_mask with input_ids")
            pooled_text = self.encode_text(input_ids, attention_mask)
        text_features = self.text_features(pooled_text, len(image))
        stages = self.vision_model(image)
        hierarchy = fuse_stages(self.vision_model, stages, text_features)
        x = self.v_proj(hierarchy.tokens) + self.pos_embed
        x = self.fusion_model(x, self.vl_proj(hierarchy.text_tokens))
        return MGHFTOutput(self.head(x[:, 0]), text_features, hierarchy, stages)


def as_released(model: MGHFT) -> MGHFT:
    """A copy of a model that computes as the released code does: the baseline of every comparison."""
    released = copy.deepcopy(model)
    released.vision_model.form = "as_released"
    if released.text_model is not None:
        released.text_model.set_attn_implementation("eager")
    return released
