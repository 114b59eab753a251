"""The settings of a benchmark. The command line has an option for each field, named as in trtexec."""

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
"""Implementations that run without a GPU."""


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
    only: tuple[Kind, ...] = Field(
        default=(), description="Measure only these rows; may be given several times."
    )
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
        default=LIMIT, ge=0, description="Seconds of runs after which a row skips later rounds."
    )
    emulated: bool = Field(
        default=False,
        alias="all",
        description="Also measure rows with a number format that this CPU only emulates.",
    )
    budget: float | None = Field(
        default=None,
        gt=0,
        description=f"Seconds for everything; inf: no limit.  [default: {COMPARISON_SECONDS:.0f} per part and batch]",
    )
    threads: int = Field(default=os.cpu_count() or 1, ge=1, description="CPU threads.")
    cuda_graph: bool = Field(default=True, description="Run engines as CUDA graphs.")
    io_transfers: bool = Field(default=True, description="Copy inputs and outputs in each run.")
    timeout: float = Field(
        default=TIMEOUT, gt=0, description="Seconds without an answer after which a row is stopped."
    )
    memory: float | None = Field(default=None, gt=0, description="Memory in GB that a row may use.")
    calibration: Path | None = Field(
        default=None,
        description="Calibration set to take stickers from.  [default: the one in the package]",
    )

    @property
    def all_providers(self) -> tuple[Provider, ...]:
        """The providers that are measured."""
        return self.providers or PROVIDERS

    def flags(self, budget: float, runner_version: str | None) -> dict[str, object]:
        """The settings as a record keeps them.

        Args:
            budget: seconds that this run may take.
            runner_version: version of `mghft-run`.
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
