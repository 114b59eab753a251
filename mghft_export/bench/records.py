"""A benchmark as plain values: what `--json` prints and every other output is made of.

{"schema": 1, "machine": ..., "provenance": ..., "flags": ..., "comparisons": [
    {"part", "batch", "tokens", "rounds", "machine_rates", "machine_rounds", "work", "rows": [
        {"name", "subject", "latency", "speed_up", "price", "roofline_share", "round_ms", "failure", "cut",
         "left_out", ...}]}]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mghft_export.bench.compare import Row
from mghft_export.bench.price import price
from mghft_export.bench.roofline import BRANCHES_OF, Work, branch_work, rates, share
from mghft_export.bench.subjects import Copy, Part, Subject
from mghft_export.bundle import Bundle
from mghft_export.errors import MGHFTError
from mghft_export.files.foreign_json import parse_json

SCHEMA = 1
FEW = 10
"""Timed runs below which a row is marked."""

NOISY = 0.025
"""Coefficient of variation above which a row is marked."""


def is_noisy(row: Mapping[str, Any]) -> bool:
    """Whether a measured row varies much, or ran a few times only."""
    latency = row["latency"]
    return bool(latency["variation"] > NOISY or latency["iterations"] < FEW)


def row_dict(row: Row) -> dict[str, Any]:
    """A row as plain values, fit for JSON."""
    values = asdict(row)
    values["subject"].pop("bundle", None)
    for place in ("stickers", "runner"):
        if values["subject"].get(place) is not None:
            values["subject"][place] = str(values["subject"][place])
    if row.gpu is not None:
        values["gpu"]["enqueue_bound"] = row.gpu.enqueue_bound
    if isinstance(row.subject, Subject):
        values["name"] = row.subject.name
    return values


def comparison_dict(
    rows: Sequence[Row],
    machine_rows: Sequence[Row],
    bundle: Bundle,
    part: Part,
    batch: int,
    tokens: int,
    *,
    rounds: int,
) -> dict[str, Any]:
    """One part and batch.

    Args:
        rounds: that rows have where nothing cuts them short.
        machine_rows: of the machine's own rates, measured in the same rounds.
        tokens: of a text, for counting.
    """
    work: dict[str, Work] = {}
    machine = rates(machine_rows)
    if machine is not None:
        work = {branch: branch_work(bundle, branch, batch, tokens) for branch in BRANCHES_OF[part]}
    found = []
    for row in rows:
        assert isinstance(row.subject, Subject)
        values = row_dict(row)
        cost = price(bundle, row.subject)
        values["price"] = asdict(cost) if cost is not None else None
        values["roofline_share"] = share(row, work, machine) if machine is not None else None
        found.append(values)
    return {
        "part": part,
        "batch": batch,
        "tokens": tokens,
        "rounds": rounds,
        "machine_rates": asdict(machine) if machine is not None else None,
        "machine_rounds": {
            _machine_row(row): row.round_ms for row in machine_rows if row.latency is not None
        },
        "work": {branch: asdict(item) for branch, item in work.items()},
        "rows": found,
    }


def _machine_row(row: Row) -> str:
    return "copy" if isinstance(row.subject, Copy) else "product"


def read_record(path: Path) -> dict[str, Any]:
    """A file that `mghft-bench -o` wrote.

    Raises:
        MGHFTError: it is none.
    """
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MGHFTError(f"{path} cannot be read as JSON; make one with `mghft-bench -o {path}`") from error
    if not isinstance(values, dict) or values.get("schema") != SCHEMA or "comparisons" not in values:
        raise MGHFTError(f"{path} is no result of this program; make one with `mghft-bench -o {path}`")
    return values
