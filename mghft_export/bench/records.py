"""A benchmark as it is written down: what `--json` prints, and what every table, page and comparison is made of."""

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
"""Timed runs below which a row is marked."""

NOISY = 0.025
"""Coefficient of variation above which a row is marked."""


class _Record(BaseModel):
    """Earlier versions and `mghft-run bench` write fewer fields, and later ones may write more."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class RowRecord(_Record):
    """One row. Times are in milliseconds, memory is in bytes."""

    name: str
    subject: dict[str, Any] = Field(default_factory=dict)
    latency: Latency | None = None
    """None where the row did not run; `failure` says why."""
    speed_up: SpeedUp | None = None
    """Against the first row that ran; None for that row itself."""
    loaded_bytes: int = 0
    peak_bytes: int = 0
    failure: str | None = None
    said: str | None = None
    """What its process wrote last, where nobody foresaw the failure."""
    warm_up: WarmUp | None = None
    round_ms: tuple[float, ...] = ()
    cut: Cut | None = None
    left_out: bool | None = None
    """Whether it was not started, as this machine is none for it; records of earlier versions do not say."""
    alone: bool = False
    gpu: dict[str, Any] | None = None
    energy: dict[str, Any] | None = None
    price: Price | None = None
    roofline_share: float | None = None

    @property
    def is_noisy(self) -> bool:
        """Whether a row that ran varies much, or ran a few times only."""
        return self.latency is not None and (self.latency.variation > NOISY or self.latency.iterations < FEW)


class ComparisonRecord(_Record):
    """One part and batch."""

    part: str
    batch: int
    tokens: int | None = None
    """Of a text."""
    rounds: int | None = None
    """That rows have where nothing cuts them short."""
    machine_rates: Rates | None = None
    machine_rounds: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Times of the machine's own `product` and `copy`, by round."""
    work: dict[str, Work] = Field(default_factory=dict)
    rows: tuple[RowRecord, ...]


class MachineRecord(_Record):
    """What was measured on."""

    model_config = ConfigDict(extra="allow")

    processor: str
    cores: int | None = None
    system: str = ""


class CheckpointRecord(_Record):
    """Whose weights were run."""

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
        """As files and `--json` have it."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1) + "\n"


def row_record(row: Row, cost: Price | None = None, roofline_share: float | None = None) -> RowRecord:
    """A row as it was measured."""
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
    """A file that `mghft-bench -o` wrote.

    Raises:
        MGHFTError: it is none.
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
