"""Count a tensor's values in a histogram as they come, in memory that does not grow.

The width of a bin is a power of two. When a larger value comes, pairs of bins are merged, and every count stays exact.
So the result does not depend on the order or the grouping of the values.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mghft_export.errors import MGHFTError
from mghft_export.runtime.session import Array

HALF = 8192
"""Number of bins for each sign. At least half are used, so a bin is at most 1/4096 of the largest value wide."""
SMALLEST_EXPONENT = -100
"""The bins cover at least -2**-100 to 2**-100: the reciprocal of a much smaller width would overflow float32."""
CHUNK = 2**15
"""Number of values that are sorted into bins at once. The scratch arrays for so many stay in a core's cache."""


class Histogram:
    """How often a tensor took which values.

    Attributes:
        exponent: the bins cover -2**exponent to 2**exponent.
        counts: how many values each bin has, from the most negative bin: [2 * HALF]. Bin i covers (i - HALF) to
            (i - HALF + 1) widths.
        largest: the largest magnitude seen, exactly.
    """

    def __init__(self) -> None:
        self.exponent = SMALLEST_EXPONENT
        self.counts: npt.NDArray[np.int64] = np.zeros(2 * HALF, np.int64)
        self.largest = 0.0

    @property
    def width(self) -> float:
        """The width of a bin."""
        return 2.0**self.exponent / HALF

    def add(self, values: Array) -> None:
        """Count float32 values of any shape.

        Raises:
            MGHFTError: one is infinite or not a number.
        """
        if not values.size:
            return
        largest = max(-float(values.min()), float(values.max()))
        if not math.isfinite(largest):
            raise MGHFTError(f"a value is {'infinite' if math.isinf(largest) else 'not a number'}")
        self.largest = max(self.largest, largest)
        # frexp gives m * 2**e with m below 1, so the bins then cover the largest value.
        while self.exponent < math.frexp(self.largest)[1]:
            self._double()
        scale = np.float32(1 / self.width)
        flat = values.reshape(-1)
        scaled, index = np.empty(min(CHUNK, flat.size), np.float32), np.empty(min(CHUNK, flat.size), np.int32)
        for start in range(0, flat.size, CHUNK):
            chunk = flat[start : start + CHUNK]
            bins = index[: chunk.size]
            np.floor(np.multiply(chunk, scale, out=scaled[: chunk.size]), out=scaled[: chunk.size])
            np.copyto(bins, scaled[: chunk.size], casting="unsafe")
            bins += HALF
            self.counts += np.bincount(bins, minlength=2 * HALF)

    def _double(self) -> None:
        """Cover twice the range: two bins become one."""
        self.exponent += 1
        if not self.counts.any():
            return
        merged = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts[:] = 0
        self.counts[HALF // 2 : HALF // 2 + HALF] = merged

    def magnitudes(self) -> npt.NDArray[np.int64]:
        """Counts of magnitudes, in bins of the same width from 0 up: [HALF]."""
        counts: npt.NDArray[np.int64] = self.counts[HALF:] + self.counts[:HALF][::-1]
        return counts

    def quantile(self, share: float) -> float:
        """The magnitude that this share of all values does not exceed, accurate to the width of a bin.

        Values are assumed to be spread evenly within a bin.
        """
        below = np.cumsum(self.magnitudes())
        wanted = share * below[-1]
        index = int(np.searchsorted(below, wanted))
        before = int(below[index - 1]) if index else 0
        inside = int(below[index]) - before
        part = (wanted - before) / inside if inside else 0.0
        return min((index + part) * self.width, self.largest)

    def coarse(self, least: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Counts and edges of merged bins from -largest to largest: `least` to twice as many for each sign."""
        used = math.floor(self.largest / self.width) + 1
        merge = 1
        while used > 2 * least * merge:
            merge *= 2
        side = max(least, math.ceil(used / merge))
        reach = side * merge
        counts = self.counts[HALF - reach : HALF + reach].reshape(-1, merge).sum(axis=1)
        edges = np.arange(-side, side + 1) * (merge * self.width)
        return counts, edges.astype(np.float32)
