"""How much memory is free, and how much the released form needs."""

from __future__ import annotations

import math
import resource
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from mghft_export.bench.subjects import Subject
from mghft_export.config import MGHFTConfig

CGROUP = Path("/sys/fs/cgroup")
PROCESS_BYTES = 10**9
"""Memory of PyTorch, its libraries, and a model's weights and activations, without the attention maps."""

SPARE_SHARE = 0.03
SPARE_BYTES = 512 * 2**20
"""Memory that stays free. If less is left, the running row is stopped before the kernel kills another process."""


def own_peak_bytes() -> int:
    """Peak resident memory of this process.

    On Linux, `ru_maxrss` begins with the memory of the process that started this one, so it is the second choice.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_bytes(cgroup: Path = CGROUP) -> int:
    """Memory that is available now without swapping: the machine's or the container's, whichever is less."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
        cached = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        free = min(free, limit - used + int(cached.get("inactive_file", 0)))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        pass
    return max(free, 0)


def spare_bytes() -> int:
    """Memory that has to stay free."""
    return max(SPARE_BYTES, int(SPARE_SHARE * psutil.virtual_memory().total))


def attention_bytes(config: MGHFTConfig, *, half_chain: bool = False) -> int:
    """Memory for the attention of one sticker as released: the largest stage's N x N chain and maps, in float32.

    Args:
        half_chain: the chain is in 16 bits, as under autocast.
    """
    largest = 0
    for stage in config.selecting_stages:
        tokens = math.prod(config.grid(stage)) + 1
        chain = tokens**2 * (2 if half_chain else 4)
        maps = 4 * config.depths[stage] * tokens * config.keys(stage)
        largest = max(largest, config.heads[stage] * (chain + maps))
    return largest


def too_large(subject: Subject, config: MGHFTConfig, free: int) -> str | None:
    """Why the released form does not fit on the CPU, and what would fit; None if it fits, and for all other rows."""
    if subject.implementation != "as-released" or subject.part == "text" or subject.on_gpu:
        return None
    each = attention_bytes(config, half_chain=subject.mode == "autocast")
    if subject.batch * each + PROCESS_BYTES <= free - spare_bytes():
        return None
    fits = max(0, (free - spare_bytes() - PROCESS_BYTES) // each)
    rest = f"largest batch that fits is {fits}" if fits else "not even one sticker fits"
    return (
        f"as-released needs {subject.batch * each / 1e9:.1f} GB for its attention maps at batch {subject.batch}, "
        f"{free / 1e9:.1f} GB free: {rest}"
    )
