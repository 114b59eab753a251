"""A tiny bundle in FP16 and INT8, TensorRT-RTX as installed, and small engines built with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mghft_export.bundle import BRANCHES, Bundle, load_bundle
from mghft_export.bundle.build_info import BuildFlags
from mghft_export.bundle.quantization_recipe import QuantizationRecipe
from mghft_export.engines.backend import Backend, open_backend
from mghft_export.engines.build import build_engines
from mghft_export.engines.gpu import Gpu, NoGpu
from mghft_export.engines.options import BuildOptions
from mghft_export.engines.plan import EnginePlan, plan_engines
from mghft_export.precision.add_graphs import add_precisions
from mghft_export.precision.calibration_run import PrecisionOptions

NO_GPU = NoGpu("this test has none")


@pytest.fixture(scope="session")
def rtx() -> Backend:
    """The installed TensorRT-RTX."""
    pytest.importorskip("polygraphy")
    pytest.importorskip("tensorrt_rtx")
    return open_backend("rtx")


@pytest.fixture(scope="session")
def full_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny bundle in all precisions for GPUs, its text branch quantised too; do not change it in place."""
    root = tmp_path_factory.mktemp("engines")
    bundle = load_bundle(Path(shutil.copytree(tiny_bundle, root / "bundle")))
    recipe = QuantizationRecipe(branches=BRANCHES)
    options = PrecisionOptions(recipe=recipe, stickers=2, cache=root / "cache")
    return add_precisions(bundle, ["fp16", "int8-fp16"], options)


@pytest.fixture
def bundle(full_bundle: Bundle, tmp_path: Path) -> Bundle:
    """A copy of the bundle, to build in."""
    return load_bundle(Path(shutil.copytree(full_bundle.root, tmp_path / "bundle")))


@pytest.fixture(scope="session")
def plan(rtx: Backend) -> Callable[..., EnginePlan]:
    """Plan a build without a GPU, by the fields of its options."""

    def make(bundle: Bundle, *branches: str, **options: object) -> EnginePlan:
        flags = BuildFlags(**{name: options.pop(name) for name in BuildFlags.model_fields if name in options})
        chosen = BuildOptions(branches=branches or BRANCHES, flags=flags, **options)  # type: ignore[arg-type]
        return plan_engines(bundle, chosen, rtx, NO_GPU)

    return make


@pytest.fixture(scope="session")
def built_bundle(
    full_bundle: Bundle, plan: Callable[..., EnginePlan], tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """A bundle with a fusion engine for sm86; do not change it in place."""
    bundle = load_bundle(Path(shutil.copytree(full_bundle.root, tmp_path_factory.mktemp("built") / "bundle")))
    build_engines(plan(bundle, "fusion", targets=(86,)))
    return bundle


@pytest.fixture
def ada() -> Gpu:
    """A GPU to be asked about."""
    return Gpu(
        name="NVIDIA GeForce RTX 4090",
        sm=89,
        free=20 * 2**30,
        driver="13.0",
        multiprocessors=128,
        memory=24 * 2**30,
    )
