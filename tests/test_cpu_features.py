"""Flags of CPUs are read from what the system says, whatever CPU the tests run on."""

import platform

import pytest

from mghft_export.cpu_features import cpu_flags, flags_of_cpuinfo, flags_of_sysctl, has_vnni, is_x86

ZEN_2 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse2 avx2 fma\nbugs\t\t: spectre_v1\n"


def test_flags_of_x86_and_of_arm():
    assert flags_of_cpuinfo(ZEN_2) == {"fpu", "sse2", "avx2", "fma"}
    arm = "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp bf16\nCPU part\t: 0xd40\n"
    assert flags_of_cpuinfo(arm) == {"fp", "asimd", "asimdhp", "asimddp", "bf16"}
    assert flags_of_cpuinfo("") == frozenset()


def test_a_flag_counts_where_every_core_has_it():
    big_and_little = "Features\t: fp asimddp bf16\n\nFeatures\t: fp asimddp\n"
    assert flags_of_cpuinfo(big_and_little) == {"fp", "asimddp"}


def test_macos_says_it_in_linux_words():
    said = "hw.optional.arm.FEAT_BF16: 0\nhw.optional.arm.FEAT_DotProd: 1\nhw.optional.floatingpoint: 1\n"
    assert flags_of_sysctl(said) == {"asimddp"}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({"avx2"}, False), ({"avx2", "avx_vnni"}, True), ({"avx512f", "avx512_vnni"}, True), (set(), False)],
)
def test_vnni(flags, expected):
    assert has_vnni(flags) is expected


def test_x86_by_its_names():
    assert [is_x86(name) for name in ("x86_64", "AMD64", "aarch64", "arm64")] == [True, True, False, False]


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc/cpuinfo")
def test_this_cpu_has_flags():
    assert cpu_flags() & {"sse2", "fp", "half"}
