"""`build.json`: what the engines in a folder are, and for whom.

engines/<backend>-<gpu or sm>-<precision>/
    build.json
    vision.engine, vision.layers.json, text.engine, ...
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mghft_export.bundle import FileEntry
from mghft_export.engines.options import HardwareLevel
from mghft_export.errors import EngineError
from mghft_export.foreign_json import parse_json

SCHEMA_VERSION: Literal[1] = 1
BUILD_INFO = "build.json"
ENGINES = "engines"
"""The folder of engines in a bundle."""


COMMAND = r"""^mghft-export trt( ([A-Za-z0-9_@%+=:,./-]|'[^'\x00-\x1f\x7f]*'|"'")+)*$"""
"""Words as :func:`shlex.join` writes them."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GpuEntry(_Frozen):
    """The GPU that the engines were built on."""

    name: str
    sm: int
    driver: str
    """Newest CUDA version that the driver supports."""
    multiprocessors: int | None = None
    """None, as of the memory, in what earlier versions wrote."""
    memory: int | None = None
    """Bytes in all."""


class Flags(_Frozen):
    """What was chosen; see :class:`mghft_export.engines.options.BuildOptions`."""

    level: int | None = Field(default=None, ge=0, le=5)
    tf32: bool = False
    version_compatible: bool = False
    hardware_compatible: HardwareLevel | None = None
    refittable: bool = False
    strip_weights: bool = False


class AttentionsEntry(_Frozen):
    """How many attentions became fused kernels, of how many that should, and the blocks of the others."""

    fused: int
    expected: int
    missing: tuple[str, ...] = ()


class EngineEntry(_Frozen):
    """One engine."""

    file: FileEntry
    onnx: FileEntry
    """The graph that it was built of, by its path in the bundle."""
    profiles: tuple[dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]], ...]
    """Least, best and most shape of each input."""
    workspace: int | None
    """Bytes; None for the package's own limit."""
    seconds: float
    layers: int
    attentions: AttentionsEntry


class BuildInfo(_Frozen):
    """All engines of a folder."""

    schema_version: Literal[1] = SCHEMA_VERSION
    producer: str
    backend: Literal["tensorrt", "rtx"]
    version: str
    precision: str
    targets: tuple[int, ...] = ()
    """Compute capabilities chosen with --target; none for the package's own choice."""
    gpu: GpuEntry | None = None
    """TensorRT-RTX builds without one, and does not depend on it where there is one."""
    flags: Flags = Flags()
    command: str = Field(pattern=COMMAND)
    """What builds it again. It is shown to be typed, so it is this command and words that no shell acts upon."""
    engines: dict[str, EngineEntry]


def write_build_info(folder: Path, info: BuildInfo) -> None:
    """Write `build.json`."""
    (folder / BUILD_INFO).write_text(info.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_build_info(folder: Path) -> BuildInfo:
    """Read `build.json`.

    Raises:
        EngineError: not a folder of engines, of another version, or damaged.
    """
    path = folder / BUILD_INFO
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise EngineError(f"{folder} has no engines; build them with `mghft-export trt`") from error
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{path} cannot be read; build the engines again with `mghft-export trt`"
        ) from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise EngineError(
            f"{folder} has schema version {version}, this program reads {SCHEMA_VERSION}; build the engines again"
        )
    try:
        return BuildInfo.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EngineError(
            f"{path} is damaged at {where!r} ({first['msg']}); build the engines again with `mghft-export trt`"
        ) from error
