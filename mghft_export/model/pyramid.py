"""The vision branch as released: a four-stage pyramid vision transformer (PVT-small) with stages that select tokens.

Read top to bottom: attention -> block -> patch embedding -> pyramid. The feature map never sees the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from timm.layers import DropPath, trunc_normal_
from torch import Tensor, nn

from mghft_export.config import PATCH_STRIDES, MGHFTConfig
from mghft_export.model import token_selection as reattention

Reattention = Literal["as_released", "row_only"]
"""How the local re-attention is computed: the released N x N chain, or only the row of it that is read."""

# What the re-attention needs from one block: its softmax map (as released), or its scaled query and key (row only).
Evidence = Tensor | tuple[Tensor, Tensor]


@dataclass
class StageTokens:
    """The tokens that leave a stage with a class token.

    Attributes:
        parts: selected tokens of the stage's output, head after head, [B, K, C].
        class_token: [B, C].
        selected: score indices of the re-attention (0 = first patch), best first, [B, heads, k] int64.
    """

    parts: Tensor
    class_token: Tensor
    selected: Tensor


class Attention(nn.Module):
    """Multi-head attention with keys and values that a strided convolution reduces in space."""

    def __init__(self, dim: int, heads: int, sr_ratio: int, class_token: bool) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.sr_ratio = sr_ratio
        self.class_token = class_token
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        if sr_ratio > 1:
            self.sr = nn.Conv2d(dim, dim, kernel_size=sr_ratio, stride=sr_ratio)
            self.norm = nn.LayerNorm(dim)

    def reduce(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens from which keys and values are computed: [B, N, C] -> [B, M, C]; the class token is not convolved."""
        if self.sr_ratio == 1:
            return x
        class_token, patches = x[:, : int(self.class_token)], x[:, int(self.class_token) :]
        patches = self.sr(patches.transpose(1, 2).unflatten(2, grid)).flatten(2).transpose(1, 2)
        return self.norm(torch.cat([class_token, patches], dim=1))

    def forward(self, x: Tensor, grid: tuple[int, int], form: Reattention) -> tuple[Tensor, Evidence]:
        batch, tokens, dim = x.shape
        # [B, N, C] -> [B, heads, N, d]; keys are the first C outputs of kv, values the last.
        query = self.q(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        key, value = self.kv(self.reduce(x, grid)).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        evidence: Evidence
        if form == "as_released":
            evidence = torch.softmax((query @ key.transpose(-2, -1)) * self.scale, dim=-1)
            x = evidence @ value
        else:
            evidence = (query.detach() * self.scale, key.detach())
            x = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, dim)), evidence


class Mlp(nn.Module):
    """Linear, exact GELU, linear, with dropout after both; names as released."""

    def __init__(self, dim: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.fc2(self.dropout(F.gelu(self.fc1(x)))))


class Block(nn.Module):
    """x + attn(norm1(x)), then x + mlp(norm2(x))."""

    def __init__(
        self, dim: int, heads: int, mlp_ratio: int, sr_ratio: int, drop_path: float, class_token: bool
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads, sr_ratio, class_token)
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, mlp_ratio * dim)

    def forward(self, x: Tensor, grid: tuple[int, int], form: Reattention) -> tuple[Tensor, Evidence]:
        attended, evidence = self.attn(self.norm1(x), grid, form)
        x = x + self.drop_path(attended)
        return x + self.drop_path(self.mlp(self.norm2(x))), evidence


class PatchEmbed(nn.Module):
    """Non-overlapping patches to tokens: convolution, flatten, LayerNorm."""

    def __init__(self, in_dim: int, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_dim, dim, kernel_size=patch, stride=patch)
        self.norm = nn.LayerNorm(dim)

    def forward(self, image: Tensor) -> Tensor:
        return self.norm(self.proj(image).flatten(2).transpose(1, 2))


def projection(in_dim: int, dim: int, out_dim: int) -> nn.Sequential:
    """Linear, ReLU, linear: the projections between a stage's channels and the shared ones."""
    return nn.Sequential(nn.Linear(in_dim, dim), nn.ReLU(), nn.Linear(dim, out_dim))


def resize_positions(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize the position embeddings of a square grid to another grid: [1, h0 * h0, C] -> [1, H * W, C], bilinear.

    Released behaviour: a table with the right number of patches stays as it is, whatever the grid's shape.
    """
    if table.shape[1] == grid[0] * grid[1]:
        return table
    side = round(table.shape[1] ** 0.5)
    planes = table.transpose(1, 2).unflatten(2, (side, side))
    resized = F.interpolate(planes, size=grid, mode="bilinear", align_corners=False)
    return resized.flatten(2).transpose(1, 2)


class Pyramid(nn.Module):
    """Image to the tokens that leave each selecting stage. Parameter names are the released ones (`vision_model.*`)."""

    def __init__(self, config: MGHFTConfig, form: Reattention = "row_only") -> None:
        super().__init__()
        self.config = config
        self.form: Reattention = form
        shared = config.shared_dim
        blocks_before = 0
        in_dim = 3
        self.tau = nn.Parameter(torch.tensor(1 / 0.07))  # unused, but in released checkpoints
        for stage, dim in enumerate(config.embed_dims):
            number = stage + 1
            class_token = config.has_class_token(stage)
            side = config.position_size // PATCH_STRIDES[stage]
            patch = PATCH_STRIDES[0] if stage == 0 else 2
            setattr(self, f"patch_embed{number}", PatchEmbed(in_dim, dim, patch))
            # Stage 4's table has an extra row for the class token; those of stages 1-3 do not.
            setattr(self, f"pos_embed{number}", nn.Parameter(torch.zeros(1, side * side + (stage == 3), dim)))
            if class_token:
                name = "cls_token" if stage == 3 else f"cls_token{number}"
                setattr(self, name, nn.Parameter(torch.zeros(1, 1, dim)))
            if class_token and stage < 3:
                setattr(self, f"local_proj{number}", projection(dim, dim, shared))
                setattr(self, f"global_proj{number}", projection(dim, dim, shared))
            setattr(self, f"cross_proj{number}", projection(shared, dim, dim))
            blocks = [
                Block(
                    dim,
                    config.heads[stage],
                    config.mlp_ratios[stage],
                    config.sr_ratios[stage],
                    # Drop path grows linearly over all blocks.
                    config.drop_path * (blocks_before + index) / max(sum(config.depths) - 1, 1),
                    class_token,
                )
                for index in range(config.depths[stage])
            ]
            blocks_before += len(blocks)
            setattr(self, f"block{number}", nn.ModuleList(blocks))
            in_dim = dim
        self.norm = nn.LayerNorm(shared, eps=1e-6)
        self.norm_t = nn.LayerNorm(shared, eps=1e-6)  # unused, but in released checkpoints
        self.apply(_initialise)
        for name, parameter in self.named_parameters():
            if "pos_embed" in name or "cls_token" in name:
                trunc_normal_(parameter, std=0.02)

    def positions(self, stage: int) -> Tensor:
        """Position embeddings of a stage's tokens at the configured image size, [1, N, C].

        The class token of stages 1-3 has row 0 of the table before it is resized (released behaviour).
        """
        table: Tensor = getattr(self, f"pos_embed{stage + 1}")
        grid = self.config.grid(stage)
        patches = resize_positions(table[:, 1:] if stage == 3 else table, grid)
        if not self.config.has_class_token(stage):
            return patches
        return torch.cat([table[:, :1], patches], dim=1)

    def class_token(self, stage: int) -> Tensor:
        """The learned class token of a stage, [1, 1, C]."""
        token: Tensor = getattr(self, "cls_token" if stage == 3 else f"cls_token{stage + 1}")
        return token

    def forward(self, image: Tensor) -> dict[int, StageTokens]:
        """[B, 3, H, W] of the configured size -> the tokens that leave each selecting stage, by its number from 0."""
        config = self.config
        leaving: dict[int, StageTokens] = {}
        x = image
        for stage in range(4):
            grid = config.grid(stage)
            x = getattr(self, f"patch_embed{stage + 1}")(x)
            if config.has_class_token(stage):
                x = torch.cat([self.class_token(stage).expand(x.shape[0], -1, -1), x], dim=1)
            x = x + self.positions(stage)
            evidence: list[Evidence] = []
            for block in getattr(self, f"block{stage + 1}"):
                x, seen = block(x, grid, self.form)
                evidence.append(seen)
            if config.has_class_token(stage):
                selected = self.select(evidence, stage)
                leaving[stage] = StageTokens(reattention.gather_tokens(x, selected), x[:, 0], selected)
                x = x[:, 1:]
            if stage < 3:
                x = x.transpose(1, 2).unflatten(2, grid)  # back to a map, [B, C, H, W]
        return leaving

    @torch.no_grad()
    def select(self, evidence: list[Evidence], stage: int) -> Tensor:
        """Score indices that a stage selects, [B, heads, k]; the selection has no gradient."""
        reduced = stage < 3
        if self.form == "as_released":
            maps = [seen for seen in evidence if isinstance(seen, Tensor)]
            scores = reattention.scores_as_released(maps, reduced=reduced)
        else:
            pairs = [seen for seen in evidence if not isinstance(seen, Tensor)]
            queries, keys = [query for query, _ in pairs], [key for _, key in pairs]
            scores = reattention.scores_row_only(queries, keys, reduced=reduced)
        return reattention.select_tokens(scores, self.config.selected_per_head(stage))


def _initialise(module: nn.Module) -> None:
    """PVT's initialisation: truncated normal weights, zero biases."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
