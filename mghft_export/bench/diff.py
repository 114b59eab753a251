"""Two results of the same rows: which became slower by more than the noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Key = tuple[str, int, str]
"""Part, batch, name."""


@dataclass(frozen=True)
class Change:
    """Of one row.

    Attributes:
        old, new: medians in milliseconds; None where the row did not run.
        ratio: new over old time, above 1 where the new one is slower.
        low, high: its 95 % interval, from a bootstrap of both results' rounds.
        failure: why the new row has no numbers.
    """

    part: str
    batch: int
    name: str
    old: float | None
    new: float | None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    failure: str | None = None

    @property
    def slower(self) -> bool:
        """Beyond the noise."""
        return self.low is not None and self.low > 1

    @property
    def faster(self) -> bool:
        """Beyond the noise."""
        return self.high is not None and self.high < 1

    def fails(self, above: float) -> bool:
        """Whether it is slower by more than `above` (0.05: 5 %) and the noise, or ran before and no longer does."""
        lost = self.old is not None and self.new is None
        return lost or (self.slower and self.ratio is not None and self.ratio > 1 + above)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Rows of both results, in the order of the old one; rows that only the new one has come last."""
    before, after = dict(_rows(old)), dict(_rows(new))
    return [_change(key, before.get(key), after.get(key)) for key in {**before, **after}]


def _rows(record: Mapping[str, Any]) -> Iterator[tuple[Key, Mapping[str, Any]]]:
    for comparison in record["comparisons"]:
        for row in comparison["rows"]:
            yield (comparison["part"], comparison["batch"], row["name"]), row


def _change(key: Key, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Change:
    before = old["latency"]["median"] if old is not None and old["latency"] else None
    after = new["latency"]["median"] if new is not None and new["latency"] else None
    if before is None or after is None or old is None or new is None:
        failure = new["failure"] if new is not None else "the row is not there"
        return Change(*key, before, after, failure=failure if after is None else None)
    low, high = _interval(old["round_ms"], new["round_ms"])
    ratio = float(np.median(new["round_ms"]) / np.median(old["round_ms"]))
    return Change(*key, before, after, ratio, low, high)


def _interval(old: Sequence[float], new: Sequence[float]) -> tuple[float, float]:
    """Both results were measured at other times, so their rounds are drawn independently."""
    rng = np.random.default_rng(0)

    def medians(times: Sequence[float]) -> Any:
        values = np.asarray(times)
        return np.median(values[rng.integers(0, len(values), (2000, len(values)))], axis=1)

    low, high = np.percentile(medians(new) / medians(old), [2.5, 97.5])
    return float(low), float(high)
