"""The package that builds: `tensorrt` on the GPU that will run the engine, or `tensorrt_rtx` before, on any machine."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from mghft_export.engines.gpu import Gpu, NoGpu
from mghft_export.errors import EngineError

Name = Literal["tensorrt", "rtx"]
MODULES: dict[Name, str] = {"tensorrt": "tensorrt", "rtx": "tensorrt_rtx"}
TITLES: dict[Name, str] = {"tensorrt": "TensorRT", "rtx": "TensorRT-RTX"}


@dataclass(frozen=True)
class Backend:
    """A package that can be used on this machine.

    Attributes:
        trt: the module. Both packages have the same classes (:mod:`.capabilities` lists what differs).
    """

    name: Name
    version: str
    trt: Any

    @property
    def title(self) -> str:
        """Name and version, for messages: `TensorRT-RTX 1.7.1`."""
        return f"{TITLES[self.name]} {self.version}"


def choose_backend(wanted: Literal["auto", "tensorrt", "rtx"], gpu: Gpu | NoGpu) -> Backend:
    """The package that was asked for. `auto` takes TensorRT if it can be imported and sees a GPU, else TensorRT-RTX.

    Raises:
        EngineError: the package is not installed, or needs a GPU that is not there.
    """
    if wanted == "rtx":
        return open_backend("rtx")
    if wanted == "tensorrt":
        backend = open_backend("tensorrt")
        if isinstance(gpu, NoGpu):
            raise EngineError(
                f"TensorRT builds on the GPU that runs the engine, and none can be used here ({gpu.reason}); "
                "build there, or ahead of time with --backend rtx"
            )
        return backend
    found = {name: _import(name) for name in MODULES}
    tensorrt, rtx = found["tensorrt"], found["rtx"]
    if isinstance(tensorrt, Backend) and isinstance(gpu, Gpu):
        return tensorrt
    if isinstance(rtx, Backend):
        return rtx
    if isinstance(tensorrt, Backend):
        assert isinstance(gpu, NoGpu)
        raise EngineError(
            f"TensorRT is installed, but no GPU can be used here ({gpu.reason}); to build without one: "
            "pip install 'mghft-export[rtx]'"
        )
    raise EngineError(
        "neither TensorRT nor TensorRT-RTX is installed; on the machine that runs the engine: "
        "pip install 'mghft-export[tensorrt]', to build anywhere: pip install 'mghft-export[rtx]'"
    )


def open_backend(name: Name) -> Backend:
    """Import a package.

    Raises:
        EngineError: it is not installed, or does not load.
    """
    found = _import(name)
    if isinstance(found, Backend):
        return found
    raise EngineError(
        f"{TITLES[name]} cannot be used here ({found}); install it with: pip install 'mghft-export[{name}]'"
    )


def _import(name: Name) -> Backend | str:
    """The package, or why it cannot be used."""
    module = MODULES[name]
    try:
        trt = importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:  # a missing library raises any of these
        return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if not hasattr(trt, "Builder"):  # type stubs without the package import as an empty package
        return "only its type stubs are installed"
    return Backend(name, str(trt.__version__), trt)
