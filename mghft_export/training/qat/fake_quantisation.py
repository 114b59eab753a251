"""Does to a tensor what QuantizeLinear and DequantizeLinear do, with gradients.

Rounding passes gradients straight through. The range of an activation is learned as its logarithm, so a step changes
small and large ranges alike (arXiv 1903.08066), with the gradient of a learned step size (LSQ, arXiv 1902.08153).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mghft_export.precision.qdq import LEVELS, quantise_weight, scale_of


def fake_quantise(x: Tensor, log_range: Tensor) -> Tensor:
    """Fake-quantise an activation, symmetric per tensor, with the scale that the export computes from the range.

    Args:
        log_range: natural logarithm of the largest magnitude that the range holds, a scalar.
    """
    largest = log_range.exp()
    # LSQ's factor: without it the gradient grows with the tensor.
    learned = largest / LEVELS * (x.numel() * LEVELS) ** -0.5
    scale = _scale(largest) + (learned - learned.detach())
    # QuantizeLinear saturates at -128, although no value inside the range gets there.
    levels = (x / scale).clamp(-LEVELS - 1, LEVELS)
    return (levels + (levels.round() - levels).detach()) * scale


def fake_quantise_weight(weight: Tensor) -> Tensor:
    """Fake-quantise a weight [out, in], symmetric per output channel, as the `int8` graphs have it.

    It uses the export's own function, so both keep neighbouring products within 16 bits in the same way. The
    `int8-fp16` graphs round their weights in finer steps.
    """
    levels, scale = quantise_weight(weight.detach().float().cpu().numpy(), 0)
    rounded = torch.from_numpy(levels * scale[:, None]).to(weight)
    return weight + (rounded - weight).detach()


def _scale(largest: Tensor) -> Tensor:
    """The scale from the export's own function, without a gradient."""
    return torch.from_numpy(np.asarray(scale_of(largest.detach().cpu().numpy()))).to(largest)
