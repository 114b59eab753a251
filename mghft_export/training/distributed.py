"""Gathers the values of all processes, with gradients: the alignment loss compares all stickers of a global batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _Gather(torch.autograd.Function):
    """All processes' rows in rank order; the gradient of a row is the sum of its gradients in all processes.

    Every process computes the same global loss, and DistributedDataParallel averages gradients over processes. With the
    sum, this average equals the gradient that one process would compute.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        ctx.rows = len(x)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        total: Tensor = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        start = dist.get_rank() * ctx.rows
        return total[start : start + ctx.rows]


def gather_with_gradient(x: Tensor) -> Tensor:
    """[B, ...] of each process -> [processes * B, ...]; with one process, the tensor itself."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x
    gathered: Tensor = _Gather.apply(x)
    return gathered


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor over the processes, without gradient."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
