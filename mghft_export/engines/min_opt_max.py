"""Minimum, optimum and maximum of one dynamic dimension, as in a TensorRT profile."""

from __future__ import annotations

from typing import NamedTuple


class MinOptMax(NamedTuple):
    """The smallest size that runs, the size that kernels are chosen for, and the largest size that runs."""

    minimum: int
    optimum: int
    maximum: int

    def __str__(self) -> str:
        return f"{self.minimum},{self.optimum},{self.maximum}"

    @property
    def rises(self) -> bool:
        """Whether the minimum is at least 1, and the numbers are in order."""
        return 1 <= self.minimum <= self.optimum <= self.maximum


DEFAULT_BATCH = MinOptMax(1, 8, 32)
"""Stickers per run, if no other batch is asked for."""
