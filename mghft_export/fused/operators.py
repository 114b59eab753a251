"""The few operators that need another form in an ONNX graph than in PyTorch to be fast.

In PyTorch they call the fused kernels; while an ONNX file is traced they spell out the pattern that ONNX Runtime and
TensorRT recognise and fuse.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(q k^T + bias) v: [B, heads, N, d], [B, heads, M, d] twice -> [B, heads, N, d].

    The query carries the attention scale already. In ONNX: MatMul, (Add), Softmax, MatMul, where only the value product
    reads the softmax; TensorRT turns this into one kernel.
    """
    if torch.onnx.is_in_onnx_export():
        scores = query @ key.transpose(-2, -1)
        if bias is not None:
            scores = scores + bias
        return torch.softmax(scores, dim=-1) @ value
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)


def gelu(x: Tensor) -> Tensor:
    """The exact GELU. In ONNX: Div, Erf, Add, Mul, Mul in the order that ONNX Runtime fuses into one Gelu."""
    if torch.onnx.is_in_onnx_export():
        return x * (torch.erf(x / math.sqrt(2.0)) + 1.0) * 0.5
    return F.gelu(x)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, N, heads * d] -> [B, heads, N, d]"""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[B, heads, N, d] -> [B, N, heads * d]"""
    return x.transpose(1, 2).flatten(2)
