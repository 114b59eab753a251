"""How close a row comes to what the machine can do: its arithmetic and memory traffic at the machine's own rates.

Arithmetic counts the bundle's float32 graphs, whatever else a row computes: the released form's N x N chain does not
count. Traffic is the minimum: weights, inputs and outputs of each branch, moved once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mghft_export.bench.compare import Row
from mghft_export.bench.subjects import Copy, Gemm, Part, Subject
from mghft_export.bundle import Bundle
from mghft_export.graph.flops import count_flops
from mghft_export.stickers.views import distinct_texts

BRANCHES_OF: dict[Part, tuple[str, ...]] = {
    "vision": ("vision",),
    "text": ("text",),
    "vision+fusion": ("vision", "fusion"),
    "whole": ("vision", "text", "fusion"),
    "pipeline": ("vision", "text", "fusion"),
}


@dataclass(frozen=True)
class Work:
    """Operations and bytes of one run of a branch."""

    flops: int
    bytes: int


@dataclass(frozen=True)
class Rates:
    """This machine's rates in this run: float32 operations per second, and bytes read and written per second."""

    flops_per_second: float
    bytes_per_second: float


def branch_work(bundle: Bundle, branch: str, batch: int, length: int) -> Work:
    """Arithmetic and minimum traffic of a batch of stickers.

    Args:
        length: tokens of a text; a sticker has one text with joined views, otherwise four.
    """
    texts = distinct_texts(bundle.manifest.text.views)
    sizes = {"batch": batch * texts if branch == "text" else batch, "length": length}
    entry = bundle.manifest.precisions["fp32"][branch]
    moved = sum(
        math.prod(sizes[size] if isinstance(size, str) else size for size in tensor.shape)
        * np.dtype(tensor.dtype).itemsize
        for tensor in (*entry.inputs, *entry.outputs)
    )
    return Work(count_flops(bundle.graph(branch), sizes), entry.file.bytes + moved)


def rates(rows: Sequence[Row]) -> Rates | None:
    """The rates from the machine's own rows; None if one is missing or failed."""
    flops = [
        row.subject.flops / row.latency.median * 1e3
        for row in rows
        if isinstance(row.subject, Gemm) and row.latency is not None
    ]
    moved = [
        row.subject.bytes / row.latency.median * 1e3
        for row in rows
        if isinstance(row.subject, Copy) and row.latency is not None
    ]
    return Rates(max(flops), max(moved)) if flops and moved else None


def share(row: Row, work: Mapping[str, Work], machine: Rates) -> float | None:
    """The minimum time of the row's branches over the time that they took; None for rows on a GPU.

    A row that computes in a smaller format than float32 can be above 1.
    """
    subject = row.subject
    if not isinstance(subject, Subject) or row.latency is None or subject.on_gpu:
        return None
    least = sum(
        max(
            work[branch].flops / machine.flops_per_second,
            work[branch].bytes / machine.bytes_per_second,
        )
        for branch in BRANCHES_OF[subject.part]
    )
    return least / (row.latency.median / 1e3)
