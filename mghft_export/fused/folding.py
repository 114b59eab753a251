"""Exact algebra on frozen layers: folds scales, norms and neighbouring linear layers into one another.

Every function returns a new :class:`torch.nn.Linear` that has its weight and bias as buffers, so gradients reach the
layers that it was folded from. Products are computed in float64, so folding itself adds no rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def linear_from(weight: Tensor, bias: Tensor, like: Tensor) -> nn.Linear:
    """A linear layer with this weight [out, in] and bias [out], with the dtype and device of `like`."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    del layer.weight, layer.bias
    layer.register_buffer("weight", weight.to(like))
    layer.register_buffer("bias", bias.to(like))
    return layer


def without_bias(layer: nn.Linear) -> nn.Linear:
    """The layer without its bias: W x."""
    bare = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
    del bare.weight
    bare.register_buffer("weight", layer.weight.clone())
    return bare


def scaled(layer: nn.Linear, scale: float) -> nn.Linear:
    """scale * (W x + b)"""
    return linear_from(layer.weight.double() * scale, layer.bias.double() * scale, layer.weight)


def stacked(*layers: nn.Linear) -> nn.Linear:
    """One layer for several that read the same input: [W_1; W_2; ...]."""
    weight = torch.cat([layer.weight for layer in layers])
    return linear_from(weight, torch.cat([layer.bias for layer in layers]), weight)


def after_norm(norm: nn.LayerNorm, layer: nn.Linear) -> nn.Linear:
    """W (gamma * n + beta) + b as a layer of n, which is x normalised only: W diag(gamma) n + (W beta + b)."""
    weight = layer.weight.double()
    bias = weight @ norm.bias.double() + layer.bias.double()
    return linear_from(weight * norm.weight.double(), bias, layer.weight)


def composed(outer: nn.Linear, inner: nn.Linear) -> nn.Linear:
    """outer(inner(x)) as one layer."""
    weight = outer.weight.double()
    bias = weight @ inner.bias.double() + outer.bias.double()
    return linear_from(weight @ inner.weight.double(), bias, outer.weight)


def patch_linear(convolution: nn.Conv2d) -> nn.Linear:
    """A convolution with kernel = stride, as a linear layer of flattened patches (row, column, channel)."""
    weight = convolution.weight.permute(0, 2, 3, 1).flatten(1)  # [out, kh * kw * in]
    assert convolution.bias is not None
    return linear_from(weight, convolution.bias, weight)
