"""Intercepts the products of a fused branch while it runs, and names them as its graph does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Quantiser = Callable[[str, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Product, activation, weight [out, in] -> activation and weight to multiply instead."""


class NamedProducts(TorchFunctionMode):
    """While active, hands each linear layer's activation and weight to `quantise` before they are multiplied.

    A layer is traced as a MatMul where it reads a sequence and as a Gemm where it reads rows, and each further call of
    the same kind is numbered (:func:`~mghft_export.graph.edits.name_nodes`). The layers themselves do not change,
    because the branch shares them with the model in training.
    """

    def __init__(self, branch: nn.Module, quantise: Quantiser) -> None:
        super().__init__()
        self.branch = branch  # keeps the weights alive, so that no other tensor gets their `id`
        self.quantise = quantise
        self.calls: Counter[str] = Counter()
        self.layers = {
            id(layer.weight): path
            for path, layer in branch.named_modules()
            if isinstance(layer, nn.Linear) and path
        }

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is F.linear and id(args[1]) in self.layers:
            x, weight, *bias = args
            kind = f"{self.layers[id(weight)]}.{'MatMul' if x.ndim > 2 else 'Gemm'}"
            self.calls[kind] += 1
            name = kind if self.calls[kind] == 1 else f"{kind}_{self.calls[kind]}"
            return func(*self.quantise(name, x, weight), *bias, **(kwargs or {}))
        return func(*args, **(kwargs or {}))
