"""Minimum, optimum and maximum of one dynamic dimension, as profiles of TensorRT have them."""

from __future__ import annotations

from typing import NamedTuple


class MinOptMax(NamedTuple):
    """The smallest size that runs, the one that kernels are chosen for, and the largest."""

    minimum: int
    optimum: int
    maximum: int

    def __str__(self) -> str:
        return f"{self.minimum},{self.optimum},{self.maximum}"

    @property
    def rises(self) -> bool:
        """Whether the numbers are what they are called, from 1."""
        return 1 <= self.minimum <= self.optimum <= self.maximum


DEFAULT_BATCH = MinOptMax(1, 8, 32)
"""Stickers of a run, where nothing else is asked for."""
