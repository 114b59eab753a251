"""The released loss that aligns class tokens with texts; the cross entropy beside it is PyTorch's own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.07
DISTRIBUTION_WEIGHT = 30.0


@dataclass
class Losses:
    """Scalar losses; the total is the cross entropy plus weight x alignment (weight 0.5 in the recipe `ser30k`)."""

    total: Tensor
    cross_entropy: Tensor
    alignment: Tensor


def stage_alignment(class_token: Tensor, text: Tensor) -> Tensor:
    """Contrastive and distribution alignment of one stage over the batch: [B, C], [B, C] -> scalar."""
    class_token, text = F.normalize(class_token, dim=-1), F.normalize(text, dim=-1)
    similarity = class_token @ text.T / TEMPERATURE  # [B, B]
    diagonal = torch.arange(len(text), device=text.device)
    contrastive = (F.cross_entropy(similarity, diagonal) + F.cross_entropy(similarity.T, diagonal)) / 2
    target = torch.log_softmax((1 + text @ text.T) / 2, dim=0).T
    found = torch.log_softmax((1 + class_token @ class_token.T) / 2, dim=0).T
    divergence = (target.exp() * (target - found)).sum()  # over the B x B entries, not divided
    return contrastive + DISTRIBUTION_WEIGHT * divergence


def alignment_loss(class_tokens: Tensor, text_features: Tensor) -> Tensor:
    """Sum over the four stages: class tokens and text features, both [B, 4, C] -> scalar."""
    stages = [stage_alignment(class_tokens[:, i], text_features[:, i]) for i in range(4)]
    return torch.stack(stages).sum()
