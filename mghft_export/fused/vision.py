"""The vision branch at inference: image -> selected tokens and class token of each selecting stage.

Exact rewrites of :mod:`mghft_export.model.pyramid` (derivations in docs/fusion.md): position embeddings resized once,
the attention scale folded into the query, convolutions with kernel = stride as linear layers of patches, q, k and v of
stage 4 in one product, row-only re-attention, and the last block computed only for the tokens that leave.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from mghft_export.config import MGHFTConfig
from mghft_export.fused import folding
from mghft_export.fused.operators import attend, gelu, merge_heads, split_heads
from mghft_export.model import token_selection as reattention
from mghft_export.model.pyramid import Attention, Block, PatchEmbed, Pyramid


class Leaving(NamedTuple):
    """The outputs of a stage: selected tokens [B, K, C], class token [B, C], score indices [B, heads, k] int64."""

    tokens: Tensor
    class_token: Tensor
    selected: Tensor


def patches(x: Tensor, grid: tuple[int, int], side: int) -> Tensor:
    """Tokens of a grid as flattened patches of side x side tokens: [B, H * W, C] -> [B, H * W / side^2, side^2 * C]."""
    height, width = grid
    x = x.unflatten(1, (height // side, side, width // side, side))  # [B, h, side, w, side, C]
    return x.transpose(2, 3).flatten(3).flatten(1, 2)


class FusedAttention(nn.Module):
    """Attention with spatial reduction; it also returns the scaled query and the key for the re-attention."""

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
            # An image has its channels first, so here alone a convolution is shorter than a linear layer of patches.
            self.convolution = embed.proj
        else:
            self.projection = folding.patch_linear(embed.proj)
        self.norm = embed.norm
        positions = pyramid.positions(stage)
        class_token = None
        if pyramid.config.has_class_token(stage):
            class_token = pyramid.class_token(stage) + positions[:, :1]
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


def run_blocks(
    blocks: nn.ModuleList, x: Tensor, grid: tuple[int, int]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """A stage's blocks in order: the tokens, and each block's scaled query and key for the re-attention."""
    queries, keys = [], []
    for block in blocks:
        x, query, key = block(x, grid)
        queries.append(query)
        keys.append(key)
    return x, queries, keys


class FusedStage(nn.Module):
    """Stages 1-3: patch embedding, blocks, and, where the stage has a class token, the selection of its tokens."""

    def __init__(self, pyramid: Pyramid, stage: int) -> None:
        super().__init__()
        self.grid = pyramid.config.grid(stage)
        self.patch_embed = FusedPatchEmbed(pyramid, stage)
        self.blocks = nn.ModuleList(FusedBlock(block) for block in getattr(pyramid, f"block{stage + 1}"))
        self.reattention = (
            ReAttention(pyramid.config, stage) if pyramid.config.has_class_token(stage) else None
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Leaving | None]:
        """Returns the patches [B, HW, C] for the next stage, and what leaves the pyramid here, if anything."""
        x = self.patch_embed(x)
        x, queries, keys = run_blocks(self.blocks, x, self.grid)
        if self.reattention is None:
            return x, None
        selected = self.reattention(queries, keys)
        return x[:, 1:], Leaving(reattention.gather_tokens(x, selected), x[:, 0], selected)


class FusedLastStage(nn.Module):
    """Stage 4; its last block runs only for the tokens that leave.

    The selection reads the last block's keys and the class token's query, but not its outputs. So the tokens are
    selected first, and the block's queries, output projection and MLP see 65 tokens of 197 (paper's size).
    """

    def __init__(self, pyramid: Pyramid) -> None:
        super().__init__()
        self.grid = pyramid.config.grid(3)
        self.patch_embed = FusedPatchEmbed(pyramid, 3)
        *blocks, last = pyramid.get_submodule("block4").children()
        assert isinstance(last, Block)
        self.blocks = nn.ModuleList(FusedBlock(cast(Block, block)) for block in blocks)
        self.reattention = ReAttention(pyramid.config, 3)
        self.last = LeavingBlock(last)

    def forward(self, x: Tensor) -> Leaving:
        """Patches of stage 3 -> what leaves here."""
        x = self.patch_embed(x)
        x, queries, keys = run_blocks(self.blocks, x, self.grid)
        normalised = self.last.norm1(x)
        key, value = self.last.keys_and_values(normalised)
        selected = self.reattention([*queries, self.last.queries(normalised[:, :1])], [*keys, key])
        x = self.last(torch.cat([x[:, :1], reattention.gather_tokens(x, selected)], dim=1), key, value)
        return Leaving(x[:, 1:], x[:, 0], selected)


class LeavingBlock(nn.Module):
    """A block without spatial reduction that computes only some tokens: keys and values of all, queries of those."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.heads = block.attn.heads
        self.norm1 = block.norm1
        self.query = folding.scaled(block.attn.q, block.attn.scale)
        self.key_value = block.attn.kv
        self.output = block.attn.proj
        self.norm2 = block.norm2
        self.mlp = FusedMlp(block.mlp.fc1, block.mlp.fc2)

    def queries(self, normalised: Tensor) -> Tensor:
        """Scaled queries: [B, n, C] -> [B, heads, n, d]."""
        return split_heads(self.query(normalised), self.heads)

    def keys_and_values(self, normalised: Tensor) -> tuple[Tensor, Tensor]:
        """[B, N, C] -> [B, heads, N, d] twice."""
        key, value = self.key_value(normalised).chunk(2, dim=-1)
        return split_heads(key, self.heads), split_heads(value, self.heads)

    def forward(self, x: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Some tokens [B, n, C], keys and values of all tokens -> the block's output for those, [B, n, C]."""
        x = x + self.output(merge_heads(attend(self.queries(self.norm1(x)), key, value)))
        return x + self.mlp(self.norm2(x))


class FusedVision(nn.Module):
    """Image [B, 3, H, W] -> for each selecting stage its selected tokens [B, K, C] and class token [B, C], in order."""

    def __init__(self, pyramid: Pyramid) -> None:
        super().__init__()
        self.config = pyramid.config
        self.stage1, self.stage2, self.stage3 = (FusedStage(pyramid, stage) for stage in range(3))
        self.stage4 = FusedLastStage(pyramid)

    def stages(self, image: Tensor) -> list[Leaving]:
        """What leaves each selecting stage."""
        leaving = []
        x = image
        for stage in (self.stage1, self.stage2, self.stage3):
            x, left = stage(x)
            if left is not None:
                leaving.append(left)
        return [*leaving, self.stage4(x)]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor for left in self.stages(image) for tensor in (left.tokens, left.class_token))
