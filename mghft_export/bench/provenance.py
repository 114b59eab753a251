"""Where numbers come from: machine, versions, bundle, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from mghft_export import __version__
from mghft_export.bundle import Bundle
from mghft_export.bundle.build_info import read_build_info
from mghft_export.cpu_features import cpu_flags
from mghft_export.engines.gpu import Gpu, NoGpu
from mghft_export.engines.loading import engine_folders
from mghft_export.errors import EngineError

PACKAGES = (
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "onnxruntime-gpu",
    "torch",
    "transformers",
    "timm",
    "tensorrt",
    "tensorrt-rtx-cu13",
    "cuda-bindings",
)


def machine() -> dict[str, object]:
    """The machine that the benchmark runs on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cpu_flags": sorted(cpu_flags()),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.system(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpu_governor": _line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        "power_mode": _power_mode(),
    }


def gpu_entry(gpu: Gpu | NoGpu) -> dict[str, object]:
    """The GPU and its driver, or why there is none."""
    if isinstance(gpu, NoGpu):
        return {"none": gpu.reason}
    return {"name": gpu.name, "sm": gpu.sm, "driver_cuda": gpu.driver, "free_bytes": gpu.free}


def provenance(bundle: Bundle, gpu: Gpu | NoGpu) -> dict[str, object]:
    """Everything else that a number depends on."""
    return {
        "producer": f"mghft-export {__version__}",
        "commit": _commit(),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "gpu": gpu_entry(gpu),
        "versions": {name: found for name in PACKAGES if (found := installed_version(name)) is not None},
        "bundle": bundle.root.resolve().name,
        "trained": bundle.manifest.trained,
        "model": bundle.manifest.model,
        "checkpoint": bundle.manifest.checkpoint.model_dump(),
        "graphs": {
            precision: {branch: graph.file.sha256 for branch, graph in graphs.items()}
            for precision, graphs in bundle.manifest.precisions.items()
        },
        "engines": _engines(bundle),
    }


def _engines(bundle: Bundle) -> dict[str, object]:
    found: dict[str, object] = {}
    for folder in engine_folders(bundle):
        try:
            info = read_build_info(folder)
        except EngineError as error:
            found[folder.name] = str(error)
            continue
        found[folder.name] = {
            "version": f"{info.backend} {info.version}",
            "flags": info.flags.model_dump(),
            "engines": {branch: entry.file.sha256 for branch, entry in info.engines.items()},
        }
    return found


def installed_version(package: str) -> str | None:
    """Version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of this program's checkout, marked if it has changes; None for an installed package."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD").strip()
        return commit + ("-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
    ).stdout


def _power_mode() -> str | None:
    """A Jetson's power mode, as `nvpmodel -q` prints it; None elsewhere."""
    try:
        answer = subprocess.run(["nvpmodel", "-q"], capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return " ".join(answer.stdout.split())


def _line(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
