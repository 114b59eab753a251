"""Where image and text meet: injection at the stages, class tokens with the text, text-guided fusion attention."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mghft_export.model.pyramid import Mlp, Pyramid, StageTokens


@dataclass
class HierarchicalTokens:
    """The tokens of all stages, before the fusion block.

    Attributes:
        tokens: class tokens (last stage first), then local tokens reversed, normalised: [B, classes + K, C].
        text_tokens: text features (last first), then the stages' projected texts (last first): [B, 4 + stages, C].
        class_tokens: for each of the four stages, the latest stage's class token without the text added, [B, 4, C].
    """

    tokens: Tensor
    text_tokens: Tensor
    class_tokens: Tensor


def soft_attend(x: Tensor, text: Tensor) -> Tensor:
    """x + softmax(x text^T) text, without a scale: [B, K, C], [B, T, C] -> [B, K, C]."""
    return x + torch.softmax(x @ text.transpose(-2, -1), dim=-1) @ text


def fuse_stages(
    pyramid: Pyramid, stages: dict[int, StageTokens], text_features: Tensor
) -> HierarchicalTokens:
    """Inject each view's text into its stage's tokens and gather the tokens of all stages.

    Args:
        pyramid: the module that owns the projections.
        stages: the tokens that leave each selecting stage.
        text_features: [B, 4, C], intention, style, main role, gesture.
    """
    parts: list[Tensor] = []
    projected_texts: list[Tensor] = []
    class_tokens: list[Tensor] = []
    latest: list[Tensor] = []
    for stage in range(4):
        if stage in stages:
            leaving = stages[stage]
            text = getattr(pyramid, f"cross_proj{stage + 1}")(text_features[:, stage])  # [B, C_stage]
            # The released model attends to as many copies of the text as there are tokens.
            injected = soft_attend(leaving.parts, text.unsqueeze(1).expand_as(leaving.parts))
            if stage < 3:
                to_shared = getattr(pyramid, f"local_proj{stage + 1}")
                parts.append(to_shared(injected))
                projected_texts.append(to_shared(text))
                class_tokens.append(getattr(pyramid, f"global_proj{stage + 1}")(leaving.class_token))
            else:
                parts.append(injected)
                projected_texts.append(
                    projected_texts[-1]
                )  # released behaviour: stage 4 reuses the one before
                class_tokens.append(leaving.class_token)
        latest.append(class_tokens[-1])
    text_rows = text_features.flip(1)
    class_rows = soft_attend(torch.stack(class_tokens[::-1], dim=1), text_rows)
    tokens = pyramid.norm(torch.cat([class_rows, torch.cat(parts, dim=1).flip(1)], dim=1))
    text_tokens = torch.cat([text_rows, torch.stack(projected_texts[::-1], dim=1)], dim=1)
    return HierarchicalTokens(tokens, text_tokens, torch.stack(latest, dim=1))


class FusionAttention(nn.Module):
    """Text-guided fusion attention: the queries attend to the text, then the result attends to the tokens."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def split(self, x: Tensor) -> Tensor:
        """[B, N, D] -> [B, heads, N, d]"""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        """Normalised tokens [B, N, D] and text [B, T, D] -> [B, N, D]; both softmaxes use the same projections."""
        query, key, value = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        text_key, text_value = self.split(self.key(text)), self.split(self.value(text))
        guided = torch.softmax(query @ text_key.transpose(-2, -1) * self.scale, dim=-1) @ text_value
        context = torch.softmax(guided @ key.transpose(-2, -1) * self.scale, dim=-1) @ value
        return self.out(context.transpose(1, 2).flatten(2))


class FusionBlock(nn.Module):
    """Pre-norm block around the fusion attention; names as released (`fusion_model.*`)."""

    def __init__(self, dim: int, heads: int, mlp_dim: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim, eps=1e-6)
        self.ffn_norm = nn.LayerNorm(dim, eps=1e-6)
        self.ffn = Mlp(dim, mlp_dim, dropout)
        self.attn = FusionAttention(dim, heads)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        x = x + self.attn(self.attention_norm(x), text)
        return x + self.ffn(self.ffn_norm(x))
