"""The instruction sets of this CPU, as flags of Linux's /proc/cpuinfo.

On macOS the names of `sysctl hw.optional` are translated to these flags.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Set
from functools import cache
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

SYSCTL_WORDS = {
    "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_DotProd": "asimddp",
    "hw.optional.arm.FEAT_FP16": "asimdhp",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.avx2_0": "avx2",
    "hw.optional.avx512bw": "avx512bw",
    "hw.optional.avx512f": "avx512f",
    "hw.optional.avx512vnni": "avx512_vnni",
}
"""macOS's names of the flags that this project uses."""

VNNI = frozenset({"avx512_vnni", "avx_vnni"})
"""x86: with one of these flags (AVX512_VNNI, AVX_VNNI) the CPU sums products of 8-bit numbers in 32 bits. Without them
it sums them in 16 bits, and the sums can saturate."""

BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""x86 and Arm: with one of these flags the CPU multiplies bfloat16 numbers."""


@cache
def cpu_flags() -> frozenset[str]:
    """The flags of this CPU, as /proc/cpuinfo spells them; empty if the system does not report them."""
    if CPUINFO.exists():
        return flags_of_cpuinfo(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    if platform.system() == "Darwin":
        return flags_of_sysctl(_sysctl())
    return frozenset()


def is_x86(machine: str | None = None) -> bool:
    """Whether this machine is of the x86 family; `machine` is what `platform.machine()` says."""
    return (machine or platform.machine()).lower() in ("x86_64", "amd64", "i386", "i686")


def has_bf16(flags: Set[str]) -> bool:
    """Whether a CPU with these flags multiplies bfloat16 numbers itself."""
    return bool(flags & BF16)


def has_vnni(flags: Set[str]) -> bool:
    """Whether an x86 CPU with these flags sums 8-bit products in 32 bits."""
    return bool(flags & VNNI)


def flags_of_cpuinfo(text: str) -> frozenset[str]:
    """The flags that every core has (`flags` on x86, `Features` on Arm), since big and little cores may differ."""
    cores = [
        frozenset(line.partition(":")[2].split())
        for line in text.splitlines()
        if line.partition(":")[0].strip() in ("flags", "Features")
    ]
    return frozenset.intersection(*cores) if cores else frozenset()


def flags_of_sysctl(text: str) -> frozenset[str]:
    """Linux's names of the flags in lines like `hw.optional.arm.FEAT_BF16: 1`."""
    pairs = (line.partition(":") for line in text.splitlines())
    on = {name.strip() for name, _, value in pairs if value.strip() == "1"}
    return frozenset(word for name, word in SYSCTL_WORDS.items() if name in on)


def _sysctl() -> str:
    try:
        return subprocess.run(
            ["sysctl", "hw.optional"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
