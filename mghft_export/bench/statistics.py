"""What a list of timings says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one run of a batch.

    Attributes:
        variation: standard deviation over the mean.
        stickers_per_second: at the median.
    """

    iterations: int
    median: float
    mean: float
    minimum: float
    p90: float
    p95: float
    p99: float
    variation: float
    stickers_per_second: float


def latency(seconds: Sequence[float], batch: int) -> Latency:
    """Summarise timings of a batch."""
    times = np.asarray(seconds) * 1e3
    median, p90, p95, p99 = (float(value) for value in np.percentile(times, [50, 90, 95, 99]))
    return Latency(
        iterations=len(times),
        median=median,
        mean=float(times.mean()),
        minimum=float(times.min()),
        p90=p90,
        p95=p95,
        p99=p99,
        variation=float(times.std() / times.mean()),
        stickers_per_second=batch / median * 1e3,
    )


@dataclass(frozen=True)
class SpeedUp:
    """How many times faster one row is than another: median of the rounds' ratios, and its 95 % interval."""

    median: float
    low: float
    high: float


def speed_up(reference: Sequence[float], other: Sequence[float], seed: int = 0) -> SpeedUp:
    """Compare rows that were timed in the same rounds: the i-th timings of both belong together."""
    ratios = np.asarray(reference) / np.asarray(other)
    rng = np.random.default_rng(seed)
    draws = np.median(ratios[rng.integers(0, len(ratios), (2000, len(ratios)))], axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return SpeedUp(float(np.median(ratios)), float(low), float(high))
