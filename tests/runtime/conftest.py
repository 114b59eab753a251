"""Tests marked `gpu` run where there is a GPU, and say elsewhere why they do not."""

from __future__ import annotations

import pytest

from mghft_export.engines.gpu import NoGpu, find_gpu


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        found = find_gpu()
        if isinstance(found, NoGpu):
            pytest.skip(f"needs an NVIDIA GPU: {found.reason}")
