"""The record of a benchmark. `--json` prints it, and every table, page and comparison is made from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mghft_export.bench.compare import Cut, Row
from mghft_export.bench.price import Price, price
from mghft_export.bench.roofline import BRANCHES_OF, Rates, Work, branch_work, rates, share
from mghft_export.bench.statistics import Latency, SpeedUp
from mghft_export.bench.subjects import Copy, Part, Subject
from mghft_export.bench.warm_up import WarmUp
from mghft_export.bundle import Bundle
from mghft_export.errors import MGHFTError

FEW = 10
"""A row with fewer timed runs is marked."""

NOISY = 0.025
"""A row with a larger coefficient of variation is marked."""


class _Record(BaseModel):
    """Base of all records. Earlier versions and `mghft-run bench` write fewer fields; later versions may write more."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class RowRecord(_Record):
    """One row. Times are in milliseconds, memory is in bytes."""

    name: str
    subject: dict[str, Any] = Field(default_factory=dict)
    latency: Latency | None = None
    """None if the row did not run; `failure` then says why."""
    speed_up: SpeedUp | None = None
    """Relative to the first row that ran; None for that row itself."""
    loaded_bytes: int = 0
    peak_bytes: int = 0
    failure: str | None = None
    said: str | None = None
    """The last lines that its process wrote, if the failure was unexpected."""
    warm_up: WarmUp | None = None
    round_ms: tuple[float, ...] = ()
    cut: Cut | None = None
    left_out: bool | None = None
    """Whether the row was not started, because this machine cannot run it; None in records of earlier versions."""
    alone: bool = False
    gpu: dict[str, Any] | None = None
    energy: dict[str, Any] | None = None
    price: Price | None = None
    roofline_share: float | None = None

    @property
    def is_noisy(self) -> bool:
        """Whether a row that ran varies much, or has few runs."""
        return self.latency is not None and (self.latency.variation > NOISY or self.latency.iterations < FEW)


class ComparisonRecord(_Record):
    """All rows of one part and batch."""

    part: str
    batch: int
    tokens: int | None = None
    """Tokens of a text."""
    rounds: int | None = None
    """Rounds of a row that nothing cuts short."""
    machine_rates: Rates | None = None
    machine_rounds: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Times of the machine's own `product` and `copy`, one per round."""
    work: dict[str, Work] = Field(default_factory=dict)
    rows: tuple[RowRecord, ...]


class MachineRecord(_Record):
    """The machine that the benchmark ran on."""

    model_config = ConfigDict(extra="allow")

    processor: str
    cores: int | None = None
    system: str = ""


class CheckpointRecord(_Record):
    """The checkpoint of the weights."""

    model_config = ConfigDict(extra="allow")

    name: str = ""


class ProvenanceRecord(_Record):
    """Everything else that a number depends on."""

    model_config = ConfigDict(extra="allow")

    producer: str = ""
    commit: str | None = None
    time: str = ""
    bundle: str | None = None
    checkpoint: CheckpointRecord = CheckpointRecord()
    gpu: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)


class Record(_Record):
    """One run of `mghft-bench`."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    machine: MachineRecord
    provenance: ProvenanceRecord = ProvenanceRecord()
    flags: dict[str, Any] = Field(default_factory=dict)
    comparisons: tuple[ComparisonRecord, ...]

    def to_json(self) -> str:
        """The record as JSON, as in files and with `--json`."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1) + "\n"


def row_record(row: Row, cost: Price | None = None, roofline_share: float | None = None) -> RowRecord:
    """The record of a measured row."""
    subject = asdict(row.subject)
    subject.pop("bundle", None)
    for place in ("stickers", "runner"):
        if subject.get(place) is not None:
            subject[place] = str(subject[place])
    gpu = None if row.gpu is None else {**asdict(row.gpu), "enqueue_bound": row.gpu.enqueue_bound}
    return RowRecord(
        name=row.subject.name if isinstance(row.subject, Subject) else type(row.subject).__name__.lower(),
        subject=subject,
        latency=row.latency,
        speed_up=row.speed_up,
        loaded_bytes=row.loaded_bytes,
        peak_bytes=row.peak_bytes,
        failure=row.failure,
        said=row.said,
        warm_up=row.warm_up,
        round_ms=row.round_ms,
        cut=row.cut,
        left_out=row.left_out,
        alone=row.alone,
        gpu=gpu,
        energy=None if row.energy is None else asdict(row.energy),
        price=cost,
        roofline_share=roofline_share,
    )


def comparison_record(
    rows: Sequence[Row],
    machine_rows: Sequence[Row],
    bundle: Bundle,
    part: Part,
    batch: int,
    tokens: int,
    *,
    rounds: int,
) -> ComparisonRecord:
    """The record of one part and batch.

    Args:
        rounds: rounds of a row that nothing cuts short.
        machine_rows: rows of the machine's own rates, measured in the same rounds.
        tokens: tokens of a text, to count operations.
    """
    work: dict[str, Work] = {}
    machine = rates(machine_rows)
    if machine is not None:
        work = {branch: branch_work(bundle, branch, batch, tokens) for branch in BRANCHES_OF[part]}
    found = []
    for row in rows:
        assert isinstance(row.subject, Subject)
        near = share(row, work, machine) if machine is not None else None
        found.append(row_record(row, price(bundle, row.subject), near))
    return ComparisonRecord(
        part=part,
        batch=batch,
        tokens=tokens,
        rounds=rounds,
        machine_rates=machine,
        machine_rounds={_machine_row(row): row.round_ms for row in machine_rows if row.latency is not None},
        work=work,
        rows=tuple(found),
    )


def _machine_row(row: Row) -> str:
    return "copy" if isinstance(row.subject, Copy) else "product"


def read_record(path: Path) -> Record:
    """Read a file that `mghft-bench -o` wrote.

    Raises:
        MGHFTError: the file cannot be read, or `mghft-bench` did not write it.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MGHFTError(f"{path} cannot be read; make it with `mghft-bench -o {path}`") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            problem = "is not JSON"
        else:
            where = ".".join(str(part) for part in first["loc"])
            problem = f"is no result of this program ({where}: {first['msg']})"
        raise MGHFTError(f"{path} {problem}; make one with `mghft-bench -o {path}`") from error
