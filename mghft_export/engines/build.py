"""Build the engines of a bundle branch by branch, inspect them, and put them in place together."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mghft_export import __version__
from mghft_export.bundle import file_entry
from mghft_export.bundle.build_info import (
    AttentionsEntry,
    BuildInfo,
    EngineEntry,
    GpuEntry,
    read_build_info,
    write_build_info,
)
from mghft_export.engines.attentions import block_name, count_fused
from mghft_export.engines.build_errors import EngineMemoryError, NoKernelError, build_error
from mghft_export.engines.build_log import BuildLog
from mghft_export.engines.engine_layers import Layer, engine_layers, layers_path, read_layers, write_layers
from mghft_export.engines.loading import check_file, is_same_gpu
from mghft_export.engines.network import parse_network
from mghft_export.engines.plan import BranchPlan, EnginePlan, build_command
from mghft_export.engines.polygraphy_build import build_plan
from mghft_export.engines.progress import OnProgress, Stop, progress_monitor, stopping_on_interrupt
from mghft_export.engines.timing_cache import timing_cache_path
from mghft_export.engines.trust import remember_built
from mghft_export.errors import EngineError, MGHFTError
from mghft_export.files.atomic import replacing_folder
from mghft_export.files.exclusive import exclusive


@dataclass(frozen=True)
class SerialisedEngine:
    """An engine as the builder returns it.

    Attributes:
        plan: the serialised engine, in the package's buffer.
    """

    plan: object
    seconds: float
    layers: tuple[Layer, ...]


def build_engines(
    plan: EnginePlan,
    on_progress: Callable[[str, str, float], None] = lambda *_: None,
    on_warning: Callable[[str], None] = lambda _: None,
) -> BuildInfo:
    """Build all engines of a plan, and replace the engines in its folder.

    Engines of other branches stay if they come from the same build. This includes engines that another process builds
    meanwhile.

    Args:
        on_progress: called with a branch, the builder's phase and the fraction that is done.
        on_warning: called with a sentence if memory is short and the batch is halved, if the timing cache cannot be
            saved, or if an engine that was there is damaged.

    Raises:
        EngineError: the builder cannot build an engine; nothing is written.
        Stopped: Ctrl-C or another signal stopped the build; nothing is written.
    """
    with (
        ExitStack() as to_the_end,
        _no_empty_folder_left(plan.folder.parent),
        replacing_folder(plan.folder) as folder,
    ):
        with stopping_on_interrupt() as stop:
            entries: dict[str, EngineEntry] = {}
            for number, item in enumerate(plan.branches):
                plan, built = _build_what_fits(
                    plan, number, partial(on_progress, item.branch), on_warning, stop
                )
                entries[item.branch] = _write(plan, plan.branches[number], built, folder)
            to_the_end.enter_context(exclusive(plan.bundle.root))  # until the folder is in its place
            info = _build_info(plan, _kept_engines(plan, folder, on_warning) | entries)
            write_build_info(folder, info)
        stop.check()
    remember_built([info.engines[item.branch].file.sha256 for item in plan.branches])
    return info


def _build_what_fits(
    plan: EnginePlan, number: int, on_progress: OnProgress, on_warning: Callable[[str], None], stop: Stop
) -> tuple[EnginePlan, SerialisedEngine]:
    """Build a branch, and halve the batch as long as memory is short. Returns the plan that fitted, too."""
    in_doubt = False
    while True:
        try:
            return plan, build_branch(plan, plan.branches[number], on_progress, stop, on_warning)
        except (EngineMemoryError, NoKernelError) as error:
            smaller = plan.halved()
            if smaller is None or plan.options.workspace is not None:  # a limit that the user set is kept
                raise
            if isinstance(error, NoKernelError):
                if in_doubt:  # half the batch did not help, so memory is not the cause
                    raise
                in_doubt = True
            plan = smaller
            batches = " and ".join(str(choice.batch) for choice in plan.options.profiles)
            on_warning(f"{error}. Now trying --batch {batches}, for this branch and those after it.")


@contextmanager
def _no_empty_folder_left(path: Path) -> Iterator[None]:
    """Remove a folder after an error if it is empty."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty, or never made
            path.rmdir()
        raise


def build_branch(
    plan: EnginePlan,
    item: BranchPlan,
    on_progress: OnProgress = lambda *_: None,
    stop: Stop | None = None,
    on_warning: Callable[[str], None] = lambda _: None,
) -> SerialisedEngine:
    """Build one engine, in memory.

    Args:
        on_warning: called with a sentence if the timing cache cannot be saved.

    Raises:
        EngineError: the builder cannot build the engine; the message is one sentence with the remedy.
        Stopped: a stop was requested.
    """
    stop = stop or Stop()
    backend, log = plan.backend, BuildLog(plan.backend.trt)
    start = time.perf_counter()
    parsed = parse_network(backend, plan.bundle.read(item.onnx), item.path, log)
    monitor = progress_monitor(backend.trt, on_progress, stop)
    serialised = build_plan(
        backend,
        parsed,
        item.profiles,
        plan.options,
        workspace=plan.workspace,
        timing_cache=timing_cache_path(backend, plan.gpu),
        monitor=monitor,
        on_warning=on_warning,
    )
    stop.check()
    if serialised is None:
        raise build_error(log.errors, item.path.name, backend.title, log.memory)
    seconds = time.perf_counter() - start
    return SerialisedEngine(serialised, seconds, engine_layers(backend, serialised, log))


def _write(plan: EnginePlan, item: BranchPlan, built: SerialisedEngine, folder: Path) -> EngineEntry:
    path = folder / f"{item.branch}.engine"
    path.write_bytes(memoryview(built.plan))  # type: ignore[arg-type]
    write_layers(path, built.layers)
    attentions = count_fused(item.attentions, built.layers, len(item.profiles))
    return EngineEntry(
        file=file_entry(folder, path),
        onnx=item.onnx,
        profiles=tuple(dict(shapes) for shapes in item.profiles),
        workspace=plan.workspace,
        seconds=round(built.seconds, 2),
        layers=len(built.layers),
        attentions=AttentionsEntry(
            fused=attentions.fused,
            expected=len(attentions.expected),
            missing=tuple(block_name(name) for name in attentions.missing),
        ),
    )


def _build_info(plan: EnginePlan, entries: dict[str, EngineEntry]) -> BuildInfo:
    options, gpu = plan.options, plan.gpu
    order = plan.bundle.manifest.precisions[options.precision]
    return BuildInfo(
        producer=f"mghft-export {__version__}",
        backend=plan.backend.name,
        version=plan.backend.version,
        precision=options.precision,
        targets=options.targets,
        gpu=None
        if gpu is None
        else GpuEntry(
            name=gpu.name,
            sm=gpu.sm,
            driver=gpu.driver,
            multiprocessors=gpu.multiprocessors,
            memory=gpu.memory,
        ),
        flags=options.flags,
        command=build_command(plan.bundle.root, plan.backend.name, options),
        engines={branch: entries[branch] for branch in order if branch in entries},
    )


def _kept_engines(
    plan: EnginePlan, folder: Path, on_warning: Callable[[str], None]
) -> dict[str, EngineEntry]:
    """Carry over the engines of other branches that are whole and were built from the same graphs and settings."""
    try:
        info = read_build_info(plan.folder)
    except EngineError:
        return {}
    same = (info.version, info.targets, info.flags) == (
        plan.backend.version,
        plan.options.targets,
        plan.options.flags,
    ) and (info.gpu is None or (plan.gpu is not None and is_same_gpu(info.gpu, plan.gpu)))
    graphs = plan.bundle.manifest.precisions[plan.options.precision]
    kept = {}
    for branch, entry in info.engines.items():
        built_now = any(item.branch == branch for item in plan.branches)
        if not same or built_now or branch not in graphs or graphs[branch].file.sha256 != entry.onnx.sha256:
            continue
        old = plan.folder / entry.file.path
        try:
            check_file(plan.folder, entry.file)
            read_layers(old)
        except EngineError as error:
            on_warning(f"{error}; the {branch} engine is left out, build it again")
            continue
        for source in (old, layers_path(old)):
            _link(source, folder / source.name)
        kept[branch] = entry
    return kept


def _link(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it if the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        try:
            shutil.copy2(source, target)
        except OSError as error:
            raise MGHFTError(f"cannot write {target}: {error.strerror}; free some space") from error
