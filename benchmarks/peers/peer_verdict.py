"""Whether our best row of a cell (a model, a batch size, float32 or INT8) is beaten by a peer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from peer_agreement import nearness

from mghft_export.bench.statistics import speed_up

Outcome = Literal["ahead", "level", "behind", "alone"]


@dataclass(frozen=True)
class Verdict:
    """Of one cell.

    Attributes:
        best: our fastest row of those that the cell is about.
        rival: the fastest peer whose outputs are at least as near to float32's as that row's.
        ratio: how many times faster our row is than the rival, in the rounds that both had.
        outcome: `level` where the interval of the ratio holds 1; `alone` where no peer is as near.
        further_off: peers that are faster but less near, so they do not count.
    """

    number: str
    best: str
    rival: str | None
    ratio: dict[str, float] | None
    outcome: Outcome
    further_off: list[str]


def verdicts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of all rows of one model and batch size: for who wants float32's outputs, and for who takes INT8's."""
    found = (verdict(rows, number) for number in ("float32", "INT8"))
    return [asdict(item) for item in found if item is not None]


def verdict(rows: Sequence[dict[str, Any]], number: str) -> Verdict | None:
    """None where no row of ours was measured.

    A peer counts in both cells, whatever it computes in, if it is near enough. So does our float32 in the cell of INT8:
    who takes INT8's outputs takes better ones, too.
    """
    measured = [row for row in rows if row["failure"] is None]
    ours = [
        row for row in measured if row["side"] == "ours" and (number == "INT8" or row["number"] == number)
    ]
    if not ours:
        return None
    best = min(ours, key=lambda row: row["median_ms"])
    peers = [row for row in measured if row["side"] == "peer"]
    near = [row for row in peers if _near(row) <= _near(best)]
    further_off = [row["name"] for row in peers if row not in near and row["median_ms"] < best["median_ms"]]
    if not near:
        return Verdict(number, best["name"], None, None, "alone", further_off)
    ratios = [(row, _ratio(best, row)) for row in near]
    rival, ratio = min(ratios, key=lambda pair: pair[1]["median"])
    outcome: Outcome = "ahead" if ratio["low"] > 1 else "behind" if ratio["high"] < 1 else "level"
    return Verdict(number, best["name"], rival["name"], ratio, outcome, further_off)


def sentence(verdict: dict[str, Any]) -> str:
    """For people."""
    best = verdict["best"]
    if verdict["ratio"] is None:
        said = f"{verdict['number']}: {best}; no peer is as near"
    else:
        numbers = "{median:.2f}x ({low:.2f} to {high:.2f})".format(**verdict["ratio"])
        said = f"{verdict['number']}: {best} is {numbers} as fast as {verdict['rival']}"
        said += {"behind": ", which WINS", "level": ": level", "ahead": ""}[verdict["outcome"]]
    if verdict["further_off"]:
        said += f"; faster but further off: {'; '.join(verdict['further_off'])}"
    return said


def _near(row: dict[str, Any]) -> float:
    """A peer whose outputs cannot be compared computes in float32 (PyTorch's rows), so it counts as near."""
    if row["agreement"] is None:
        return nearness(0.0) if row["number"] == "float32" else float("inf")
    return nearness(row["agreement"]["class_token"])


def _ratio(ours: dict[str, Any], peer: dict[str, Any]) -> dict[str, float]:
    rounds = min(len(ours["round_ms"]), len(peer["round_ms"]))
    found = asdict(speed_up(peer["round_ms"][:rounds], ours["round_ms"][:rounds]))
    return {name: float(value) for name, value in found.items()}
