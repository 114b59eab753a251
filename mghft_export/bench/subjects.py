"""What can be measured. Subjects are plain values that are cheap to make and to send to another process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["as-released", "fused", "onnxruntime", "openvino", "engine", "mghft-run"]
"""Implementations that `mghft-bench` runs."""
Implementation = Kind | Literal["peer"]
Part = Literal["vision", "vision+fusion", "text", "whole", "pipeline"]
Provider = Literal["cpu", "cuda", "tensorrt", "openvino", "openvino-bf16"]
Mode = Literal["eager", "compile", "autocast", "compile-fp16", "compile-bf16"]

RUN_GRAPHS: tuple[Implementation, ...] = ("onnxruntime", "openvino", "mghft-run")
"""Implementations that run a bundle's ONNX graphs, in each of its precisions."""

GEMM_SIDE = 2048
COPY_BYTES = 2**28
"""Much larger than any cache, so that the copy measures the memory."""


@dataclass(frozen=True)
class Subject:
    """One row of a benchmark.

    Attributes:
        implementation: `as-released` (the released form in PyTorch), `fused` (our form in PyTorch), `onnxruntime`,
            `openvino`, `engine` (TensorRT, TensorRT-RTX), `mghft-run` (the C++ program, with any of the three) or
            `peer`, which only a :class:`SelfOpening` is.
        part: `vision` (image -> tokens), `vision+fusion` (image and text features -> logits), `text` (token ids -> text
            features), `whole` (both -> logits) or `pipeline` (image files and texts -> probabilities).
        precision: precision of the bundle's graphs; PyTorch runs in float32, or as `mode` says.
        provider: provider of ONNX Runtime or OpenVINO; for PyTorch `cpu` or `cuda`.
        mode: how PyTorch runs: eager, with `torch.compile`, with autocast, or compiled under autocast to 16 bits.
        engine: the name of a folder in the bundle's `engines/`.
        length: tokens of a text; by default the length of the stickers' texts.
        stickers: a calibration set; by default the one in the package.
        cuda_graph: engines replay each set of shapes as one CUDA graph.
        io_transfers: every run copies inputs from the host and outputs to the host.
        runner: the program `mghft-run`, for rows that it runs.
    """

    bundle: Path
    implementation: Implementation
    part: Part
    batch: int
    threads: int
    precision: str = "fp32"
    provider: Provider = "cpu"
    mode: Mode = "eager"
    engine: str | None = None
    length: int | None = None
    stickers: Path | None = None
    cuda_graph: bool = True
    io_transfers: bool = True
    runner: Path | None = None

    @property
    def on_gpu(self) -> bool:
        """Whether the row needs a GPU."""
        return self.engine is not None or self.provider in ("cuda", "tensorrt")

    @property
    def name(self) -> str:
        """Name for tables. It tells the rows of one comparison apart."""
        words: list[str] = [] if self.implementation == "engine" else [self.implementation]
        if self.engine is not None:
            words += ["engine", self.engine]
        elif self.implementation in RUN_GRAPHS:
            words.append(self.precision)
        elif self.mode != "eager":
            words.append(self.mode)
        if self.implementation == "openvino":
            words += ["bf16"] if self.provider == "openvino-bf16" else []
        elif self.engine is None and self.provider != "cpu":
            words.append(self.provider)
        return " ".join(words + ([f"{self.length} tokens"] if self.length is not None else []))


@dataclass(frozen=True)
class SelfOpening(Subject, ABC):
    """A row that a script adds, as benchmarks/peers does. The row itself knows how to run.

    Its class must be importable in a new process.
    """

    @abstractmethod
    def open(self) -> Callable[[], object]:
        """Load everything, and return a function that runs once. It is called in the row's own process."""


@dataclass(frozen=True)
class Gemm:
    """The machine's own float32 matrix product, 2048 x 2048 x 2048: in torch (`torch`) or ONNX Runtime."""

    library: Literal["torch", "onnxruntime"]
    threads: int

    @property
    def flops(self) -> int:
        """Operations of one run."""
        return 2 * GEMM_SIDE**3


@dataclass(frozen=True)
class Copy:
    """The machine's own copy of 256 MiB from memory to memory."""

    threads: int

    @property
    def bytes(self) -> int:
        """Bytes read and written in one run."""
        return 2 * COPY_BYTES


NO_GPU = "no GPU"
NO_OPENVINO = "no OpenVINO: pip install 'mghft-export[openvino]'"
"""How a reason begins why this machine cannot run a row: with what the machine lacks."""
