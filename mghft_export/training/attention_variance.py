"""The variance of a pyramid's attention logits, which the loss can keep small so that the attention stays soft.

Where attention gives one token nearly all of its weight, only rounding ranks the other tokens. The re-attention then
selects other patches whenever the same sums run in another order. The penalty is on the logits, because a saturated
softmax has no gradient (https://arxiv.org/abs/2303.06296 calls this entropy collapse).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mghft_export.model.pyramid import Attention, Pyramid


def watch_attention(pyramid: Pyramid) -> Callable[[], Tensor]:
    """Record the queries and keys of each attention of a pyramid from now on.

    Returns:
        a function that gives the variance of the last run's logits over the keys, averaged over queries, heads and
        stickers, summed over the blocks.
    """
    queries: dict[Attention, Tensor] = {}
    keys: dict[Attention, Tensor] = {}

    def watch(attention: Attention) -> None:
        def keep_query(module: torch.nn.Module, inputs: object, found: Tensor) -> None:
            queries[attention] = found

        def keep_keys(module: torch.nn.Module, inputs: object, found: Tensor) -> None:
            keys[attention] = found[..., : attention.q.out_features]  # the values come after the keys

        attention.q.register_forward_hook(keep_query)
        attention.kv.register_forward_hook(keep_keys)

    for module in pyramid.modules():
        if isinstance(module, Attention):
            watch(module)

    def variance() -> Tensor:
        total = torch.zeros((), device=pyramid.tau.device)
        for attention, query in queries.items():
            # [B, N, C] and [B, M, C] -> [B, heads, N, M]
            q, k = (
                rows.unflatten(2, (attention.heads, -1)).transpose(1, 2) for rows in (query, keys[attention])
            )
            logits = (q @ k.transpose(-2, -1)).float() * attention.scale
            total = total + logits.var(dim=-1, correction=0).mean()
        return total

    return variance
