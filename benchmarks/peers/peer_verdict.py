"""Decides whether a peer beats our best row in a cell (a model, a batch size, float32 or INT8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from peer_agreement import nearness

from mghft_export.bench.statistics import speed_up

Outcome = Literal["ahead", "level", "behind", "alone"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on one cell.

    Attributes:
        best: our fastest row in the cell.
        rival: the fastest peer with outputs at least as near to float32's as that row's.
        ratio: how many times as fast as the rival our row is, in the rounds that both ran.
        outcome: `level` if the interval of the ratio contains 1; `alone` if no peer is as near.
        further_off: peers that are faster but less near, so they do not count.
    """

    number: str
    best: str
    rival: str | None
    ratio: dict[str, float] | None
    outcome: Outcome
    further_off: list[str]


def verdicts(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The verdicts for one model and batch size: one for users who need float32's outputs, one for INT8's."""
    found = (verdict(rows, number) for number in ("float32", "INT8"))
    return [asdict(item) for item in found if item is not None]


def verdict(rows: Sequence[dict[str, Any]], number: str) -> Verdict | None:
    """The verdict on one cell; None if no row of ours was measured.

    A peer counts in both cells, whatever it computes in, if it is near enough. Our float32 rows count in the INT8 cell,
    too: a user who accepts INT8's outputs also accepts better ones.
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
    """The verdict as a sentence for people."""
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
    """The nearness of a row; PyTorch's rows without comparable outputs compute in float32, so they count as near."""
    if row["agreement"] is None:
        return nearness(0.0) if row["number"] == "float32" else float("inf")
    return nearness(row["agreement"]["class_token"])


def _ratio(ours: dict[str, Any], peer: dict[str, Any]) -> dict[str, float]:
    rounds = min(len(ours["round_ms"]), len(peer["round_ms"]))
    found = asdict(speed_up(peer["round_ms"][:rounds], ours["round_ms"][:rounds]))
    return {name: float(value) for name, value in found.items()}
