"""`build.json`: which engines a folder holds, how they were built, and which GPUs they are for.

engines/<backend>-<gpu or sm>-<precision>/
    build.json
    vision.engine, vision.layers.json, text.engine, ...
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from mghft_export.bundle.manifest import FileEntry
from mghft_export.errors import EngineError
from mghft_export.files.stored_json import Stored, parse_stored, stored_text

SCHEMA_VERSION: Literal[1] = 1
BUILD_INFO = "build.json"
BUILD_AGAIN = "build the engines again with `mghft-export trt`"
ENGINES = "engines"
"""The folder of engines in a bundle."""

HardwareLevel = Literal["ampere+", "same-sm"]
"""The other GPUs that an engine loads on: Ampere and later, or those of the same compute capability."""

COMMAND = r"""^mghft-export trt( ([A-Za-z0-9_@%+=:,./-]|'[^'\x00-\x1f\x7f]*'|"'")+)*$"""
"""A `mghft-export trt` command, with its words as :func:`shlex.join` writes them."""


class GpuEntry(Stored):
    """The GPU that the engines were built on."""

    name: str
    sm: int
    driver: str
    """Newest CUDA version that the driver supports."""
    multiprocessors: int | None = None
    """Number of multiprocessors. Earlier versions did not write it, nor the memory: both are then None."""
    memory: int | None = None
    """Total memory in bytes."""


class BuildFlags(Stored):
    """The builder's settings, apart from graphs and profiles. The command line has an option for each."""

    level: int | None = Field(
        default=None,
        ge=0,
        le=5,
        description="Builder optimization level: how long to look for faster kernels.",
    )
    tf32: bool = Field(
        default=False, description="Compute float32 products in TF32: faster, but other tokens get selected."
    )
    version_compatible: bool = Field(
        default=False, description="TensorRT: the engine loads in later versions too."
    )
    hardware_compatible: HardwareLevel | None = Field(
        default=None, description="TensorRT: the engine loads on other GPUs too, at some cost of speed."
    )
    refittable: bool = Field(default=False, description="Weights can be replaced later.")
    strip_weights: bool = Field(
        default=False, description="Leave the weights out; they are refitted on the device."
    )


class AttentionsEntry(Stored):
    """How many attentions are fused kernels, how many should be, and the blocks of those that are not."""

    fused: int
    expected: int
    missing: tuple[str, ...] = ()


class EngineEntry(Stored):
    """One engine."""

    file: FileEntry
    onnx: FileEntry
    """The graph that the engine was built from; its path is relative to the bundle."""
    profiles: tuple[dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]], ...]
    """Minimum, optimum and maximum shape of each input."""
    workspace: int | None
    """Most bytes of workspace for a kernel; None for the package's own limit."""
    seconds: float
    layers: int
    attentions: AttentionsEntry


class BuildInfo(Stored):
    """All engines of a folder."""

    schema_version: Literal[1] = SCHEMA_VERSION
    producer: str
    backend: Literal["tensorrt", "rtx"]
    version: str
    precision: str
    targets: tuple[int, ...] = ()
    """Compute capabilities chosen with --target; empty for the package's own choice."""
    gpu: GpuEntry | None = None
    """None for TensorRT-RTX: it builds without a GPU, and its engines do not depend on the GPU of the machine."""
    flags: BuildFlags = BuildFlags()
    command: str = Field(pattern=COMMAND)
    """The command that builds the engines again. Users type it into a shell, so it may hold only `mghft-export trt` and
    words that a shell takes literally."""
    engines: dict[str, EngineEntry]


def write_build_info(folder: Path, info: BuildInfo) -> None:
    """Write `build.json`."""
    (folder / BUILD_INFO).write_text(stored_text(info), encoding="utf-8")


def read_build_info(folder: Path) -> BuildInfo:
    """Read `build.json`.

    Raises:
        EngineError: the folder has no engines, or the file is of another version or damaged.
    """
    path = folder / BUILD_INFO
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise EngineError(f"{folder} has no engines; build them with `mghft-export trt`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"{path} cannot be read; {BUILD_AGAIN}") from error
    return parse_stored(text, BuildInfo, path=path, advice=BUILD_AGAIN, error=EngineError)
