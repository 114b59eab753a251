"""A trained MGHFT as three exact inference branches: vision, text, fusion."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from mghft_export.fused.fusion import FusedFusion
from mghft_export.fused.text import FusedText
from mghft_export.fused.vision import FusedVision
from mghft_export.model.mghft import MGHFT
from mghft_export.stickers.views import distinct_texts


class FusedMGHFT(nn.Module):
    """The three branches, and their composition.

    `forward(image, input_ids, attention_mask)` takes [B, 3, H, W] and [B, V, L] int64 twice, where V is the number of
    distinct views: 1 where every view reads the whole text (`joined`), 4 where each reads its own (`separate`).
    """

    def __init__(self, vision: FusedVision, text: FusedText, fusion: FusedFusion) -> None:
        super().__init__()
        self.config = vision.config
        self.vision = vision
        self.text = text
        self.fusion = fusion

    @property
    def distinct_views(self) -> int:
        """Number of texts to encode for one sticker: 1 or 4."""
        return distinct_texts(self.config.views)

    def forward(self, image: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        features = self.text(input_ids.flatten(0, 1), attention_mask.flatten(0, 1))
        features = features.unflatten(0, (-1, self.distinct_views)).expand(-1, 4, -1)
        logits: Tensor = self.fusion(*self.vision(image), features)
        return logits


@torch.no_grad()
def fuse(model: MGHFT) -> FusedMGHFT:
    """The exact inference form of a model; the model itself does not change.

    The result has no losses, dropout, drop path, pooler or unused parameters.

    Raises:
        ValueError: the model was built without its text encoder.
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    if model.text_model is None:
        raise ValueError("the model was built without a text encoder, so it cannot be fused")
    return FusedMGHFT(
        FusedVision(model.vision_model),
        FusedText(model.text_model, model.l_proj, model.config),
        FusedFusion(model),
    ).eval()
