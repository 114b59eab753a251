"""Rows that a CPU only emulates are left out, whatever CPU the tests run on."""

import pytest

from mghft_export.bench.rows import emulation, obstacle
from mghft_export.bench.subjects import Copy, Subject
from mghft_export.bench.worker import LeftOut
from mghft_export.config import MGHFTConfig
from mghft_export.engines.gpu import NoGpu

AVX2 = frozenset({"avx2", "fma", "f16c"})
ZEN_4 = AVX2 | {"avx512f", "avx512_bf16", "avx512_vnni"}
SAPPHIRE_RAPIDS = AVX2 | {"avx512f", "amx_bf16"}
CORTEX_A72 = frozenset({"fp", "asimd"})
CORTEX_A78 = frozenset({"fp", "asimd", "asimdhp"})
NEOVERSE_V1 = CORTEX_A78 | {"bf16"}


def row(implementation, **options):
    return Subject(None, implementation, "vision", 1, 1, **options)


@pytest.mark.parametrize(
    ("flags", "emulates"),
    [(AVX2, True), (ZEN_4, False), (SAPPHIRE_RAPIDS, False), (CORTEX_A78, True), (NEOVERSE_V1, False)],
)
@pytest.mark.parametrize("implementation", ["as-released", "fused"])
def test_autocast_needs_a_cpu_with_bfloat16(flags, emulates, implementation):
    found = emulation(row(implementation, mode="autocast"), flags)
    assert found == ("this CPU only emulates bfloat16" if emulates else None)
    assert emulation(row(implementation, mode="eager"), flags) is None
    assert emulation(row(implementation, mode="compile"), flags) is None


@pytest.mark.parametrize(
    ("flags", "machine", "emulates"),
    [
        (AVX2, "x86_64", True),
        (ZEN_4, "x86_64", True),
        (CORTEX_A72, "aarch64", True),
        (CORTEX_A78, "aarch64", False),
    ],
)
@pytest.mark.parametrize("implementation", ["onnxruntime", "mghft-run"])
def test_fp16_graphs_need_an_arm_cpu_with_half_precision(flags, machine, emulates, implementation):
    for precision in ("fp16", "int8-fp16"):
        found = emulation(row(implementation, precision=precision), flags, machine=machine)
        assert (found is not None) == emulates
    for precision in ("fp32", "int8"):
        assert emulation(row(implementation, precision=precision), flags, machine=machine) is None


def test_gpus_and_unknown_cpus_emulate_nothing():
    assert emulation(row("as-released", mode="autocast", provider="cuda"), AVX2) is None
    assert emulation(row("onnxruntime", precision="fp16", provider="cuda"), AVX2, machine="x86_64") is None
    assert emulation(row("as-released", mode="autocast"), frozenset()) is None


def test_what_is_asked_for_runs_all_the_same():
    subject = row("as-released", mode="autocast")
    settings = {"flags": AVX2, "free": lambda: 10**11}
    asks = obstacle(MGHFTConfig.paper(), NoGpu("none"), **settings)
    found = asks(subject)
    assert isinstance(found, LeftOut)
    assert str(found) == "this CPU only emulates bfloat16: --all runs it"
    assert asks(row("as-released")) is None
    assert asks(Copy(1)) is None
    everything = obstacle(MGHFTConfig.paper(), NoGpu("none"), wanted=lambda _: True, **settings)
    assert everything(subject) is None
    # No wish puts a GPU into the machine.
    assert str(everything(row("fused", provider="cuda"))) == "no GPU: none"
