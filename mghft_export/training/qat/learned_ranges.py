"""The ranges of activations as parameters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class LearnedRanges(nn.Module):
    """One vector of logarithms a branch, in float32.

    Args:
        ranges: by branch and tensor of its graph, the largest magnitude to start with.
    """

    def __init__(self, ranges: Mapping[str, Mapping[str, float]]) -> None:
        super().__init__()
        self.places = {
            branch: {name: place for place, name in enumerate(found)} for branch, found in ranges.items()
        }
        for branch, found in ranges.items():
            # A dead activation has range 0; its scale is the smallest one whatever it learns.
            start = torch.tensor(list(found.values())).clamp(min=torch.finfo(torch.float32).tiny)
            self.register_parameter(branch, nn.Parameter(start.log()))

    def log_range(self, branch: str, name: str) -> Tensor:
        """Logarithm of the range of an activation, a scalar."""
        logs: Tensor = self.get_parameter(branch)
        return logs[self.places[branch][name]]

    def values(self) -> dict[str, dict[str, float]]:
        """The ranges as they are now, as a recipe has them."""
        return {
            branch: dict(zip(places, self.get_parameter(branch).detach().exp().tolist(), strict=True))
            for branch, places in self.places.items()
        }
