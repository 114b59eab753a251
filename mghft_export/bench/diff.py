"""Compare two results of the same rows: find the rows that became slower by more than the noise.

A machine is faster at some times than at others, and all rows with it. So the rounds of a row are first divided by the
times of the machine's own product and copy in the same rounds. What neither of the two explains is a change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mghft_export.bench.rank_interval import Ratio, least_times, ratio_interval
from mghft_export.bench.records import ComparisonRecord, Record, RowRecord

ERROR = 0.05
"""Chance that any row is called slower or faster if the same bundle is measured twice; the rows share it equally."""

RUN_TO_RUN = 0.05
"""Share by which rows of one bundle differ between two runs even if their rounds are quiet, because memory lies
elsewhere and other programs run. docs/benchmarking.md has the measurement."""

Key = tuple[str, int, str]
"""Part, batch, name."""


@dataclass(frozen=True)
class Change:
    """The change of one row.

    Attributes:
        old, new: medians in milliseconds; None where the row did not run.
        ratio: new time over old time, each relative to the machine's speed at that time; above 1 if the new one is
            slower.
        low, high: confidence interval of the ratio; None if there are too few rounds.
        rounds: rounds of the old and of the new result that were compared.
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
    rounds: tuple[int, int] = (0, 0)
    failure: str | None = None

    @property
    def ran(self) -> bool:
        """Whether the row ran in either result."""
        return self.old is not None or self.new is not None

    @property
    def too_few(self) -> bool:
        """Whether both ran, but in too few rounds to tell a change from noise."""
        return self.ratio is not None and self.low is None

    @property
    def slower(self) -> bool:
        """Whether it is slower by more than the noise of rounds and of runs."""
        return self.low is not None and self.low > 1 + RUN_TO_RUN

    @property
    def faster(self) -> bool:
        """Whether it is faster by more than the noise of rounds and of runs."""
        return self.high is not None and self.high < 1 / (1 + RUN_TO_RUN)

    def fails(self, above: float) -> bool:
        """Whether it is slower by more than `above` (0.05: 5 %) and the noise, or ran before and does not run now."""
        lost = self.old is not None and self.new is None
        return lost or (self.slower and self.ratio is not None and self.ratio > 1 + above)


def differences(old: Record, new: Record) -> list[Change]:
    """Changes of the rows of both results, in the order of the old one. Rows that only the new one has come last."""
    before, after = dict(_rows(old)), dict(_rows(new))
    both = [key for key in before if key in after and _median(before[key]) and _median(after[key])]
    rulers_before, rulers_after = dict(_rulers(old)), dict(_rulers(new))
    found = []
    for key in {**before, **after}:
        if key in both:
            rulers = rulers_before[key[:2]], rulers_after[key[:2]]
            found.append(_change(key, before[key], after[key], rulers, ERROR / len(both)))
        else:
            found.append(_lost_or_new(key, before.get(key), after.get(key)))
    return found


def least_rounds(changes: Sequence[Change]) -> int:
    """Rounds that both results need to tell a change of one of these rows from noise."""
    return least_times(ERROR / max(1, sum(change.ratio is not None for change in changes)))


def machine_changes(old: Record, new: Record) -> dict[str, float]:
    """New over old time of the machine's own `product` and `copy`: medians over parts and batches."""
    before, after = dict(_rulers(old)), dict(_rulers(new))
    ratios: dict[str, list[float]] = {}
    for key in before.keys() & after.keys():
        for name in ("product", "copy"):
            if name in before[key] and name in after[key]:
                change = np.median(after[key][name]) / np.median(before[key][name])
                ratios.setdefault(name, []).append(float(change))
    return {name: float(np.median(values)) for name, values in ratios.items()}


Rulers = Mapping[str, Sequence[float]]
"""Times that show how fast the machine was, one per round; a single time stands for all rounds."""


def _rulers(record: Record) -> Iterator[tuple[tuple[str, int], Rulers]]:
    for comparison in record.comparisons:
        yield (comparison.part, comparison.batch), _rulers_of(comparison)


def _rulers_of(comparison: ComparisonRecord) -> Rulers:
    """The machine's own rows, or the reference row if there are none."""
    if comparison.machine_rounds:
        return {name: times for name, times in comparison.machine_rounds.items() if times}
    rates = comparison.machine_rates
    if rates is not None:  # a record of an older version
        return {"product": [1 / rates.flops_per_second], "copy": [1 / rates.bytes_per_second]}
    measured = [row for row in comparison.rows if row.latency and row.speed_up is None]
    return {row.name: row.round_ms for row in measured[:1]}


def _rows(record: Record) -> Iterator[tuple[Key, RowRecord]]:
    for comparison in record.comparisons:
        for row in comparison.rows:
            yield (comparison.part, comparison.batch, row.name), row


def _median(row: RowRecord | None) -> float | None:
    return row.latency.median if row is not None and row.latency else None


def _lost_or_new(key: Key, old: RowRecord | None, new: RowRecord | None) -> Change:
    before, after = _median(old), _median(new)
    failure = new.failure if new is not None else "the row is not there"
    return Change(*key, before, after, failure=failure if after is None else None)


def _change(
    key: Key,
    old: RowRecord,
    new: RowRecord,
    rulers: tuple[Rulers, Rulers],
    error: float,
) -> Change:
    before, after = rulers
    names = [name for name in before if name in after and name != key[2]]
    pairs = [(_relative(old, before[name]), _relative(new, after[name])) for name in names]
    if not pairs:  # no row shows how fast the machine was
        pairs = [(list(old.round_ms), list(new.round_ms))]
    ratios = [ratio_interval(first, second, error) for first, second in pairs]
    middle = _geometric_mean([float(np.median(second) / np.median(first)) for first, second in pairs])
    rounds = min(len(first) for first, _ in pairs), min(len(second) for _, second in pairs)
    known = [ratio for ratio in ratios if ratio is not None]
    if len(known) < len(pairs):
        return Change(*key, _median(old), _median(new), middle, rounds=rounds)
    low, high = _around(known)
    return Change(*key, _median(old), _median(new), middle, min(low, middle), max(high, middle), rounds)


def _relative(row: RowRecord, ruler: Sequence[float]) -> list[float]:
    """A row's rounds over the ruler's time of the same round, or over its median if it has no time for that round."""
    usual = float(np.median(ruler))
    together = [] if row.alone or len(ruler) == 1 else ruler
    others = [*together, *[usual] * len(row.round_ms)]
    return [time / other for time, other in zip(row.round_ms, others, strict=False)]


def _around(ratios: Sequence[Ratio]) -> tuple[float, float]:
    """The range that covers the intervals of all rulers."""
    return min(ratio.low for ratio in ratios), max(ratio.high for ratio in ratios)


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(float(np.mean(np.log(values))))
