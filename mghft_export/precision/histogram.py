"""A histogram of a tensor's values that is filled as they come, in memory that does not grow.

Its bins have the width of a power of two, so when a larger value comes, pairs of bins are merged, and every count stays
exact: the result does not hang on the order or the grouping of what was added.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from mghft_export.errors import MGHFTError
from mghft_export.runtime.session import Array

HALF = 8192
"""Bins of either sign. Between half and all of them are used, so that a bin is at most 1/4096 of the largest value."""
SMALLEST_EXPONENT = -100
"""Values below 2**-100 share the bins next to zero; a finer width would overflow float32 in its reciprocal."""
CHUNK = 2**15
"""Values that are sorted into bins at once: what they need beside them stays in a core's cache."""


class Histogram:
    """How often a tensor took which values.

    Attributes:
        exponent: the bins cover -2**exponent to 2**exponent.
        counts: of the bins, from the most negative one: [2 * HALF]. Bin i covers (i - HALF) to (i - HALF + 1) widths.
        largest: magnitude seen, exactly.
    """

    def __init__(self) -> None:
        self.exponent = SMALLEST_EXPONENT
        self.counts: npt.NDArray[np.int64] = np.zeros(2 * HALF, np.int64)
        self.largest = 0.0

    @property
    def width(self) -> float:
        """Of a bin."""
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
        # frexp gives m * 2**e with m below 1, so the largest value is inside.
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
        """Cover twice as much: two bins become one."""
        self.exponent += 1
        if not self.counts.any():
            return
        merged = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts[:] = 0
        self.counts[HALF // 2 : HALF // 2 + HALF] = merged

    def magnitudes(self) -> npt.NDArray[np.int64]:
        """Counts of magnitudes in bins of one width from 0 up: [HALF]."""
        counts: npt.NDArray[np.int64] = self.counts[HALF:] + self.counts[:HALF][::-1]
        return counts

    def quantile(self, share: float) -> float:
        """The magnitude that this share of all values does not exceed, to the width of a bin.

        Within a bin values are taken as spread evenly.
        """
        below = np.cumsum(self.magnitudes())
        wanted = share * below[-1]
        index = int(np.searchsorted(below, wanted))
        before = int(below[index - 1]) if index else 0
        inside = int(below[index]) - before
        part = (wanted - before) / inside if inside else 0.0
        return min((index + part) * self.width, self.largest)

    def coarse(self, least: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Counts and edges of fewer, whole bins from -largest to largest: of either sign `least` to twice as many."""
        used = math.floor(self.largest / self.width) + 1
        merge = 1
        while used > 2 * least * merge:
            merge *= 2
        side = max(least, math.ceil(used / merge))
        reach = side * merge
        counts = self.counts[HALF - reach : HALF + reach].reshape(-1, merge).sum(axis=1)
        edges = np.arange(-side, side + 1) * (merge * self.width)
        return counts, edges.astype(np.float32)
