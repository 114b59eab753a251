"""The vision branch at inference: image -> selected tokens and class token of each selecting stage.

Exact rewrites of :mod:`mghft_export.model.pyramid` (derivations in docs/fusion.md): position embeddings resized once,
the attention scale folded into the query, convolutions with kernel = stride as linear layers of patches, q, k and v of
stage 4 in one product, row-only re-attention.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mghft_export.config import MGHFTConfig
from mghft_export.fused import folding
from mghft_export.fused.operators import attend, gelu, merge_heads, split_heads
from mghft_export.model import reattention
from mghft_export.model.pyramid import Attention, Block, PatchEmbed, Pyramid


def patches(x: Tensor, grid: tuple[int, int], side: int) -> Tensor:
    """Tokens of a grid as flattened patches of side x side tokens: [B, H * W, C] -> [B, H * W / side^2, side^2 * C]."""
    height, width = grid
    x = x.unflatten(1, (height // side, side, width // side, side))  # [B, h, side, w, side, C]
    return x.transpose(2, 3).flatten(3).flatten(1, 2)


class FusedAttention(nn.Module):
    """Attention with spatial reduction; also hands out the scaled query and the key for the re-attention."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.heads = attention.heads
        self.sr_ratio = attention.sr_ratio
        self.class_token = int(attention.class_token)
        query = folding.scaled(attention.q, attention.scale)
        if self.sr_ratio > 1:
            self.query = query
            self.key_value = folding.linear_from(attention.kv.weight, attention.kv.bias, attention.kv.weight)
            self.reduction = folding.patch_linear(attention.sr)
            self.norm = attention.norm
        else:
            self.query_key_value = folding.stacked(query, attention.kv)
        self.output = attention.proj

    def project(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """[B, N, C] -> scaled query [B, heads, N, d], key and value [B, heads, M, d]."""
        if self.sr_ratio == 1:
            query, key, value = self.query_key_value(x).chunk(3, dim=-1)
        else:
            reduced = self.reduction(patches(x[:, self.class_token :], grid, self.sr_ratio))
            if self.class_token:  # the class token skips the reduction
                reduced = torch.cat([x[:, :1], reduced], dim=1)
            query = self.query(x)
            key, value = self.key_value(self.norm(reduced)).chunk(2, dim=-1)
        return split_heads(query, self.heads), split_heads(key, self.heads), split_heads(value, self.heads)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value = self.project(x, grid)
        return self.output(merge_heads(attend(query, key, value))), query, key


class FusedMlp(nn.Module):
    """Linear, GELU, linear, without dropout."""

    def __init__(self, fc1: nn.Linear, fc2: nn.Linear) -> None:
        super().__init__()
        self.fc1 = fc1
        self.fc2 = fc2

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(gelu(self.fc1(x)))


class FusedBlock(nn.Module):
    """One block, without drop path."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.norm1 = block.norm1
        self.attention = FusedAttention(block.attn)
        self.norm2 = block.norm2
        self.mlp = FusedMlp(block.mlp.fc1, block.mlp.fc2)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """[B, N, C] -> [B, N, C], and the attention's scaled query and key."""
        attended, query, key = self.attention(self.norm1(x), grid)
        x = x + attended
        return x + self.mlp(self.norm2(x)), query, key


class FusedPatchEmbed(nn.Module):
    """Patches to tokens with their positions; the class token comes first where the stage has one."""

    class_token: Tensor | None
    positions: Tensor

    def __init__(self, pyramid: Pyramid, stage: int) -> None:
        super().__init__()
        embed: PatchEmbed = getattr(pyramid, f"patch_embed{stage + 1}")
        self.first = stage == 0
        self.grid = pyramid.config.grid(stage)
        if self.first:
            # An image has its channels first: the one place where a convolution is the shorter way.
            self.convolution = embed.proj
        else:
            self.projection = folding.patch_linear(embed.proj)
        self.norm = embed.norm
        positions = pyramid.positions(stage).detach()
        class_token = None
        if pyramid.config.has_class_token(stage):
            class_token = pyramid.class_token(stage).detach() + positions[:, :1]
            positions = positions[:, 1:]
        self.register_buffer("class_token", class_token)
        self.register_buffer("positions", positions.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Stage 1: image [B, 3, H, W]; later: tokens of the stage before, [B, 4 N, C]. Returns [B, N (+ 1), C']."""
        if self.first:
            x = self.convolution(x).flatten(2).transpose(1, 2)
        else:
            height, width = self.grid
            x = self.projection(patches(x, (2 * height, 2 * width), 2))
        x = self.norm(x) + self.positions
        if self.class_token is None:
            return x
        return torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)


class ReAttention(nn.Module):
    """Row-only local re-attention of a stage, always in float32; a module so that its nodes carry its name."""

    def __init__(self, config: MGHFTConfig, stage: int) -> None:
        super().__init__()
        self.reduced = stage < 3
        self.count = config.selected_per_head(stage)

    def forward(self, queries: list[Tensor], keys: list[Tensor]) -> Tensor:
        """Scaled queries and keys of the stage's blocks -> score indices, best first, [B, heads, k] int64."""
        scores = reattention.scores_row_only(queries, keys, reduced=self.reduced)
        return reattention.select_tokens(scores, self.count)


class FusedStage(nn.Module):
    """Patch embedding, blocks, and, where the stage has a class token, the selection of its tokens."""

    def __init__(self, pyramid: Pyramid, stage: int) -> None:
        super().__init__()
        self.grid = pyramid.config.grid(stage)
        self.patch_embed = FusedPatchEmbed(pyramid, stage)
        self.blocks = nn.ModuleList(FusedBlock(block) for block in getattr(pyramid, f"block{stage + 1}"))
        self.reattention = (
            ReAttention(pyramid.config, stage) if pyramid.config.has_class_token(stage) else None
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """Returns the patches [B, HW, C]; and the selected tokens, the class token and the selection, if any."""
        x = self.patch_embed(x)
        queries, keys = [], []
        for block in self.blocks:
            x, query, key = block(x, self.grid)
            queries.append(query)
            keys.append(key)
        if self.reattention is None:
            return x, None, None, None
        selected = self.reattention(queries, keys)
        return x[:, 1:], reattention.gather_tokens(x, selected), x[:, 0], selected


class FusedVision(nn.Module):
    """Image [B, 3, H, W] -> for each selecting stage its selected tokens [B, K, C] and class token [B, C], in order."""

    def __init__(self, pyramid: Pyramid) -> None:
        super().__init__()
        self.config = pyramid.config
        self.stage1, self.stage2, self.stage3, self.stage4 = (
            FusedStage(pyramid, stage) for stage in range(4)
        )

    def stages(self, image: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Selected tokens, class token and selection of each selecting stage."""
        leaving = []
        x = image
        for stage in (self.stage1, self.stage2, self.stage3, self.stage4):
            x, parts, class_token, selected = stage(x)
            if parts is not None:
                leaving.append((parts, class_token, selected))
        return leaving

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            tensor for parts, class_token, _ in self.stages(image) for tensor in (parts, class_token)
        )
