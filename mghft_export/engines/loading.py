"""Checks of `build.json` before engines are loaded, so that an engine that does not fit gives an error, not a crash."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from mghft_export.bundle import Bundle, FileEntry, load_bundle
from mghft_export.bundle.build_info import ENGINES, BuildInfo, GpuEntry, read_build_info
from mghft_export.engines.backend import TITLES, Backend, open_backend
from mghft_export.engines.gpu import Gpu, NoGpu, find_gpu
from mghft_export.engines.trust import check_trust
from mghft_export.environment import is_on
from mghft_export.errors import EngineError
from mghft_export.files.verified_files import verified_sha256

ALLOW_HOST_CODE = "MGHFT_ALLOW_HOST_CODE"
"""The environment variable with which a user allows engines that bring code for the host. `mghft-run` reads it, too."""

AMPERE = 80
"""Lowest compute capability that runs engines built without --target (TensorRT-RTX) or for `ampere+`."""

NOT_RTX = {
    72: "Jetson Xavier",
    87: "Jetson Orin",
    90: "Hopper",
    100: "data centre Blackwell",
    101: "Jetson Thor",
    103: "data centre Blackwell",
    110: "Jetson Thor",
}
"""Compute capabilities that TensorRT-RTX does not run on, whatever an engine was built for."""

SAME_MEMORY = 0.8
"""GPUs with the same name are different models if the smaller memory is less than this share of the larger. Equal
models can differ a little, since the driver and ECC take some memory."""


@dataclass(frozen=True)
class BuiltEngine:
    """A folder of engines that belong to a bundle and run on this machine."""

    folder: Path
    info: BuildInfo
    bundle: Bundle
    backend: Backend

    def engine(self, branch: str) -> Path:
        """The engine file of a branch.

        Raises:
            EngineError: it was not built.
        """
        if branch not in self.info.engines:
            raise EngineError(
                f"{self.folder} has no {branch} engine; build it with: {self.info.command} --branch {branch}"
            )
        return self.folder / self.info.engines[branch].file.path


def load_engine_folder(
    folder: Path,
    bundle: Bundle | None = None,
    *,
    backend: Backend | None = None,
    gpu: Gpu | NoGpu | None = None,
) -> BuiltEngine:
    """Check a folder of engines before they are loaded.

    The engines must be whole, belong to this bundle, be trusted, and fit the installed version and the GPU. The user
    must allow engines that bring code for the host.

    Args:
        bundle: by default the one that the folder is in.
        backend: by default the installed package that built the engines.
        gpu: by default the one of this machine.

    Raises:
        EngineError: a check fails; the message names what was built, what is here, and the command that builds again.
        BundleError: there is no bundle.
    """
    info = read_build_info(folder)
    bundle = bundle or load_bundle(folder.resolve().parent.parent)
    check_files(folder, info)
    check_graphs(folder, info, bundle)
    check_trust(folder, [entry.file.sha256 for entry in info.engines.values()])
    backend = backend or open_backend(info.backend)
    check_version(folder, info, backend)
    check_host_code(folder, info)
    check_gpu(folder, info, find_gpu() if gpu is None else gpu)
    return BuiltEngine(folder, info, bundle, backend)


def engine_folders(bundle: Bundle) -> tuple[Path, ...]:
    """The folders of engines in a bundle, by name."""
    root = bundle.root / ENGINES
    found = [path for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []
    return tuple(sorted(path for path in found if path.is_dir()))


def check_files(folder: Path, info: BuildInfo) -> None:
    """Check that all engines are as they were written.

    Raises:
        EngineError: an engine is missing or was changed.
    """
    for entry in info.engines.values():
        try:
            check_file(folder, entry.file)
        except EngineError as error:
            raise EngineError(f"{error}; {_again(info)}") from error


def check_file(folder: Path, entry: FileEntry) -> None:
    """Check that an engine is as it was written.

    Raises:
        EngineError: the engine is missing or was changed. The message has no remedy.
    """
    path = folder / entry.path
    if path.resolve().parent != folder.resolve():
        raise EngineError(f"{folder} names {entry.path!r}, which is outside of it")
    if not path.is_file():
        raise EngineError(f"{path} is missing")
    if path.stat().st_size != entry.bytes or verified_sha256(path) != entry.sha256:
        raise EngineError(f"{path} was changed after it was built")


def check_graphs(folder: Path, info: BuildInfo, bundle: Bundle) -> None:
    """Check that the engines were built from the graphs in the bundle.

    Raises:
        EngineError: a graph was replaced, or is gone.
    """
    graphs = bundle.manifest.precisions.get(info.precision, {})
    for branch, entry in info.engines.items():
        if branch not in graphs:
            raise EngineError(
                f"{folder / entry.file.path} is of a {info.precision} graph that {bundle.root} no longer has"
            )
        now = graphs[branch].file
        if now.sha256 != entry.onnx.sha256:
            raise EngineError(
                f"{folder / entry.file.path} was built of another {entry.onnx.path} "
                f"({entry.onnx.sha256[:8]}) than the bundle's ({now.sha256[:8]}); {_again(info)}"
            )


def check_version(folder: Path, info: BuildInfo, backend: Backend) -> None:
    """Check that the installed version can load the engines.

    An engine loads in the version that built it. A version-compatible engine also loads in later versions with the same
    major number.

    Raises:
        EngineError: it cannot; the message names both versions.
    """
    built, here = _numbers(info.version), _numbers(backend.version)
    compatible = info.flags.version_compatible and built[0] == here[0] and built <= here
    if backend.name != info.backend or (info.version != backend.version and not compatible):
        raise EngineError(
            f"{folder} was built with {TITLES[info.backend]} {info.version}, and this is {backend.title}; "
            f"{_again(info)}"
        )


def check_host_code(folder: Path, info: BuildInfo) -> None:
    """Refuse engines that bring code for the host, unless the user allows them. The folder itself cannot allow them.

    Raises:
        EngineError: the engines are version-compatible, and the user has not allowed them.
    """
    if info.flags.version_compatible and not is_on(ALLOW_HOST_CODE):
        raise EngineError(
            f"{folder} has version-compatible engines, which bring code that runs on this machine; if they are your "
            f"own, allow it with {ALLOW_HOST_CODE}=1 in the environment"
        )


def check_gpu(folder: Path, info: BuildInfo, gpu: Gpu | NoGpu) -> None:
    """Check that the engines were built for this GPU, or made compatible with it.

    Raises:
        EngineError: they were not; the message names both GPUs.
    """
    if isinstance(gpu, NoGpu):
        raise EngineError(
            f"{folder} runs on an NVIDIA GPU, and none can be used here ({gpu.reason}); "
            "run the bundle with ONNX Runtime"
        )
    command = _without(info.command, "--target")
    if info.backend == "rtx" and gpu.sm in NOT_RTX:
        raise EngineError(
            f"{folder} was built with TensorRT-RTX, which does not run on {NOT_RTX[gpu.sm]} GPUs like this {gpu.name} "
            f"(sm{gpu.sm}); build it here with: {_without(command, '--backend')} --backend tensorrt"
        )
    if _runs_on(info, gpu):
        return
    here = f"{gpu.name} (sm{gpu.sm})"
    if info.gpu is not None:
        built_for = f"{info.gpu.name} (sm{info.gpu.sm})"
        if built_for == here:
            built_for += _size(info.gpu.multiprocessors or 0, info.gpu.memory or 0)
            here += _size(gpu.multiprocessors, gpu.memory)
    elif info.targets:
        built_for = ", ".join(f"sm{sm}" for sm in info.targets)
    else:
        built_for = f"GPUs from sm{AMPERE} on"
    target = f" --target sm{gpu.sm}" if info.backend == "rtx" else ""
    raise EngineError(
        f"{folder} was built for {built_for}, and this is {here}; build it for this GPU with: {command}{target}"
    )


def is_same_gpu(built: GpuEntry, gpu: Gpu) -> bool:
    """Whether two GPUs are the same model: same name, compute capability, multiprocessors and about the same memory."""
    if (built.name, built.sm) != (gpu.name, gpu.sm):
        return False
    if built.multiprocessors is not None and built.multiprocessors != gpu.multiprocessors:
        return False
    less, more = sorted((built.memory or gpu.memory, gpu.memory))
    return less >= SAME_MEMORY * more


def _runs_on(info: BuildInfo, gpu: Gpu) -> bool:
    if info.backend == "rtx":
        return gpu.sm in info.targets if info.targets else gpu.sm >= AMPERE
    if info.gpu is None:
        return False
    level = info.flags.hardware_compatible
    if level == "ampere+":
        return min(gpu.sm, info.gpu.sm) >= AMPERE
    return gpu.sm == info.gpu.sm if level == "same-sm" else is_same_gpu(info.gpu, gpu)


def _size(multiprocessors: int, memory: int) -> str:
    return f" with {multiprocessors} multiprocessors and {memory / 2**30:.1f} GiB"


def _without(command: str, option: str) -> str:
    """A command without an option and the word after it."""
    words = shlex.split(command)
    if option in words:
        start = words.index(option)
        del words[start : start + 2]
    return shlex.join(words)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal()) or (0,)


def _again(info: BuildInfo) -> str:
    return f"build it again with: {info.command}"
