"""The losses as released: cross entropy with label smoothing, and the alignment of class tokens with texts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.07
DISTRIBUTION_WEIGHT = 30.0
ALIGNMENT_WEIGHT = 0.5
LABEL_SMOOTHING = 0.2


@dataclass
class Losses:
    """Scalars: `total = cross_entropy + 0.5 * alignment`."""

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


def total_loss(
    logits: Tensor,
    target: Tensor,
    class_tokens: Tensor,
    text_features: Tensor,
    *,
    label_smoothing: float = LABEL_SMOOTHING,
    alignment_weight: float = ALIGNMENT_WEIGHT,
) -> Losses:
    """The training loss.

    Args:
        logits: [B, classes].
        target: [B] int64, 0-based.
        class_tokens: [B, 4, C] as :class:`~mghft_export.model.fusion.HierarchicalTokens` has them.
        text_features: [B, 4, C].
    """
    cross_entropy = F.cross_entropy(logits, target, label_smoothing=label_smoothing)
    alignment = alignment_loss(class_tokens, text_features)
    return Losses(cross_entropy + alignment_weight * alignment, cross_entropy, alignment)
