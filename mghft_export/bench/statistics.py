"""Statistics of run times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one run of a batch.

    Attributes:
        median: median of the rounds' medians, so that each round counts once, however many runs it had.
        variation: standard deviation over the mean.
        stickers_per_second: throughput at the median.
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


def latency(rounds: Sequence[Sequence[float]], batch: int) -> Latency:
    """Summarise the runs of a batch, in seconds, round by round."""
    times = np.concatenate([np.asarray(round_times) for round_times in rounds]) * 1e3
    median = float(np.median([np.median(round_times) for round_times in rounds])) * 1e3
    p90, p95, p99 = (float(value) for value in np.percentile(times, [90, 95, 99]))
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
    """How many times faster one row is than another, with a 95 % confidence interval.

    Attributes:
        median: the ratio of the two medians in the tables, over the rounds that both rows had.
    """

    median: float
    low: float
    high: float


def speed_up(reference: Sequence[float], other: Sequence[float], seed: int = 0) -> SpeedUp:
    """Compare rows that were timed in the same rounds: the i-th times of both belong together.

    The interval comes from a bootstrap that draws rounds with the times of both rows. So a round that is slow for both
    rows does not widen it.
    """
    times = np.asarray([reference, other])
    rng = np.random.default_rng(seed)
    drawn = np.median(times[:, rng.integers(0, times.shape[1], (2000, times.shape[1]))], axis=2)
    low, high = np.percentile(drawn[0] / drawn[1], [2.5, 97.5])
    slower, faster = np.median(times, axis=1)
    return SpeedUp(float(slower / faster), float(low), float(high))
