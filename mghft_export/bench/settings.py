"""What can be chosen about a benchmark; the command line has an option for each field, named as trtexec names it."""

from __future__ import annotations

import math
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from mghft_export.bench.compare import LIMIT
from mghft_export.bench.rows import PROVIDERS
from mghft_export.bench.subjects import Kind, Part, Provider
from mghft_export.bench.time_budget import COMPARISON_SECONDS
from mghft_export.bench.worker import TIMEOUT

IMPLEMENTATIONS: tuple[Kind, ...] = ("as-released", "fused", "onnxruntime", "openvino")
"""What runs without a GPU."""


class Settings(BaseModel):
    """Which rows are measured, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    parts: tuple[Part, ...] = Field(
        default=("vision+fusion", "pipeline"),
        alias="part",
        description="Part of the model to measure; may be given several times.",
    )
    runner: Path | None = Field(
        default=None, description="The C++ program mghft-run: adds rows that it runs."
    )
    only: tuple[Kind, ...] = Field(default=(), description="Leave the other rows out.")
    providers: tuple[Provider, ...] = Field(
        default=(),
        alias="provider",
        description="What runs the graphs; may be given several times.  [default: all]",
    )
    precisions: tuple[str, ...] = Field(
        default=(),
        alias="precision",
        description="Precision of the bundle to measure; may be given several times.  [default: all]",
    )
    iterations: int = Field(default=10, ge=1, description="Rounds; also the minimum runs of each row.")
    duration: float = Field(default=3.0, ge=0, description="Minimum seconds to measure each row.")
    max_duration: float = Field(
        default=LIMIT, ge=0, description="Seconds of runs after which a row is not run in later rounds."
    )
    emulated: bool = Field(
        default=False, alias="all", description="Also rows whose number format this CPU only emulates."
    )
    budget: float | None = Field(
        default=None,
        gt=0,
        description=f"Seconds for everything; inf: no end.  [default: {COMPARISON_SECONDS:.0f} a part and batch]",
    )
    threads: int = Field(default=os.cpu_count() or 1, ge=1, description="CPU threads.")
    cuda_graph: bool = Field(default=True, description="Engines run as CUDA graphs.")
    io_transfers: bool = Field(default=True, description="Copy inputs and outputs in runs.")
    timeout: float = Field(default=TIMEOUT, gt=0, description="Seconds after which a silent row is ended.")
    memory: float | None = Field(default=None, gt=0, description="Memory in GB that a row may use.")
    calibration: Path | None = Field(
        default=None,
        description="Calibration set whose stickers are run.  [default: the one that comes along]",
    )

    @property
    def all_providers(self) -> tuple[Provider, ...]:
        """Those that are measured."""
        return self.providers or PROVIDERS

    def flags(self, budget: float, runner_version: str | None) -> dict[str, object]:
        """As a record keeps them.

        Args:
            budget: seconds that are spent in fact.
            runner_version: of `mghft-run`.
        """
        return {
            "iterations": self.iterations,
            "duration": self.duration,
            "limit": self.max_duration,
            "budget": budget if math.isfinite(budget) else None,
            "all": self.emulated,
            "threads": self.threads,
            "cuda_graph": self.cuda_graph,
            "io_transfers": self.io_transfers,
            "stickers": "default" if self.calibration is None else str(self.calibration),
            "runner": runner_version,
        }
