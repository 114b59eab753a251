"""The ranges of activations as parameters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class LearnedRanges(nn.Module):
    """One vector of logarithms per branch, in float32.

    Args:
        ranges: the largest magnitude to start with, by branch and by tensor name in the branch's graph.
    """

    def __init__(self, ranges: Mapping[str, Mapping[str, float]]) -> None:
        super().__init__()
        self.places = {
            branch: {name: place for place, name in enumerate(found)} for branch, found in ranges.items()
        }
        for branch, found in ranges.items():
            # A dead activation has range 0. Its scale is the smallest one, whatever the range learns.
            start = torch.tensor(list(found.values())).clamp(min=torch.finfo(torch.float32).tiny)
            self.register_parameter(branch, nn.Parameter(start.log()))

    def log_range(self, branch: str, name: str) -> Tensor:
        """Logarithm of the range of an activation, a scalar."""
        logs: Tensor = self.get_parameter(branch)
        return logs[self.places[branch][name]]

    def values(self) -> dict[str, dict[str, float]]:
        """The current ranges, in the form that a recipe has them."""
        return {
            branch: dict(zip(places, self.get_parameter(branch).detach().exp().tolist(), strict=True))
            for branch, places in self.places.items()
        }
