"""Local re-attention: which patches of a stage matter to its class token, and which tokens are kept.

A stage with L blocks has attention maps A_1..A_L, each [B, heads, N, M] (N queries, M reduced keys; stage 4: M = N).
The released model chains them to R_L = F_L F_{L-1} ... F_1 per head, where

* reduced stages (1-3) alternate: F_l = A_l^T for odd l, F_l = A_l for even l;
* stage 4 multiplies them as they are: F_l = A_l.

Only row 0 of R_L is read. So :func:`scores_row_only` takes row 0 of F_L and multiplies this vector with one factor
after the other; it never multiplies two factors. :func:`scores_as_released` computes the whole chain.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def attention_map(query: Tensor, key: Tensor) -> Tensor:
    """softmax(q k^T), in float32 for half-precision inputs: [B, heads, N, d], [B, heads, M, d] -> [B, heads, N, M].

    The query carries the attention scale already.
    """
    dtype = torch.promote_types(query.dtype, torch.float32)
    return torch.softmax(query.to(dtype) @ key.to(dtype).transpose(-2, -1), dim=-1)


def scores_as_released(maps: Sequence[Tensor], *, reduced: bool) -> Tensor:
    """Scores of the patches through the N x N chain: L maps [B, heads, N, M] -> [B, heads, N - 1].

    Args:
        maps: the stage's attention maps, first block first; at least two.
        reduced: whether the stage reduces its keys (stages 1-3), which makes the chain alternate.
    """
    if reduced:
        chain = maps[1] @ maps[0].transpose(-2, -1)  # [B, heads, N, N]
        for number, attention in enumerate(maps[2:], start=3):
            chain = (attention.transpose(-2, -1) if number % 2 else attention) @ chain
    else:
        chain = maps[0]
        for attention in maps[1:]:
            chain = attention @ chain
    return chain[:, :, 0, 1:]


def scores_row_only(queries: Sequence[Tensor], keys: Sequence[Tensor], *, reduced: bool) -> Tensor:
    """The same scores in O(N M) a block and without an N x N map.

    It recomputes the maps in float32 from the attention's queries and keys. The attention's own softmax then has a
    single reader, so TensorRT can fuse it. Where only row 0 of a map is read, only the class token's query is used.

    Args:
        queries: [B, heads, N, d] of each block, attention scale included.
        keys: [B, heads, M, d] of each block.
        reduced: whether the stage reduces its keys (stages 1-3).

    Returns:
        [B, heads, N - 1] float32.
    """
    last = len(queries)
    if reduced and last % 2:
        row = attention_map(queries[-1], keys[-1])[..., :1]  # column 0 of A_L, as [B, heads, N, 1]
    else:
        row = attention_map(queries[-1][..., :1, :], keys[-1]).transpose(
            -2, -1
        )  # row 0 of A_L: [B, heads, M, 1]
    # `row` is stored as a column. Where a product needs a transpose, the vector is transposed and not the map: this
    # costs nothing.
    for number in range(last - 1, 0, -1):
        attention = attention_map(queries[number - 1], keys[number - 1])
        if not reduced or number % 2 == 0:
            row = (row.transpose(-2, -1) @ attention).transpose(-2, -1)  # [B, heads, M, 1]
            continue
        row = attention @ row  # [B, heads, N, 1]
    return row[:, :, 1:, 0]


def select_tokens(scores: Tensor, count: int) -> Tensor:
    """Score indices of the `count` best patches per head, best first: [B, heads, P] -> [B, heads, count] int64."""
    return torch.topk(scores, count, dim=-1, sorted=True).indices


def gather_tokens(tokens: Tensor, selected: Tensor) -> Tensor:
    """Tokens of the selected patches, head after head: [B, N, C], [B, heads, k] -> [B, heads * k, C].

    Index 0 of `selected` is the first patch, which is token 1.
    """
    index = selected.flatten(1) + 1
    return tokens.gather(1, index.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
