"""`mghft-export trt`: build engines from the graphs of a bundle."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from mghft_export.api.build_engines import add_missing, prepare_build
from mghft_export.bundle.build_info import BuildFlags, BuildInfo
from mghft_export.cli.model_options import model_options
from mghft_export.cli.output import echo_json, say, say_warning, warn_of_precision
from mghft_export.cli.progress_bar import steps
from mghft_export.cli.verification_tables import print_verifications
from mghft_export.engines.build import build_engines
from mghft_export.engines.gpu import Gpu, NoGpu
from mghft_export.engines.options import BuildOptions, parse_size, parse_targets
from mghft_export.engines.plan import EnginePlan, build_command
from mghft_export.engines.profiles import Shapes, parse_profiles
from mghft_export.terminal import Terminal


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), default=Path("mghft-bundle"))
@click.option("--fp16", "precision", flag_value="fp16", default="fp16", help="FP16 engines, the default.")
@click.option(
    "--int8",
    "precision",
    flag_value="int8-fp16",
    help="INT8 engines, with FP16 for the rest; compare their speed with --fp16.",
)
@click.option("--fp32", "precision", flag_value="fp32", help="Float32 engines, for comparison.")
@click.option(
    "--branch", "branches", multiple=True, help="Build only this branch; may be given several times."
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "tensorrt", "rtx"]),
    default="auto",
    show_default=True,
    help="auto: TensorRT if it is installed and sees a GPU, otherwise TensorRT-RTX.",
)
@click.option(
    "--target",
    help="RTX: build ahead of time for these GPUs, for example sm86,sm89,sm120.  [default: Ampere and later]",
)
@click.option(
    "--batch",
    "batches",
    multiple=True,
    metavar="MIN,OPT,MAX",
    help="Stickers per batch of a profile; repeat for several: --batch 1,1,2 --batch 1,8,32.  [default: 1,8,32]",
)
@click.option(
    "--text-length",
    "lengths",
    multiple=True,
    metavar="MIN,OPT,MAX",
    help="Tokens of a text, once for all profiles or once for each.  [default: the model's whole range]",
)
@click.option(
    "--workspace",
    help="Memory for kernels, for example 4G.  [default: half of the free memory; RTX: no limit]",
)
@model_options(BuildFlags, "flags")
@click.option("--no-verify", is_flag=True, help="Do not compare newly made graphs with fp32.")
@click.option("--dry-run", is_flag=True, help="Show what would be built.")
@click.option("--json", "as_json", is_flag=True, help="Print build.json (with --dry-run: the plan).")
def trt(
    bundle: Path,
    precision: str,
    branches: tuple[str, ...],
    backend: Literal["auto", "tensorrt", "rtx"],
    target: str | None,
    batches: tuple[str, ...],
    lengths: tuple[str, ...],
    workspace: str | None,
    no_verify: bool,
    dry_run: bool,
    as_json: bool,
    flags: BuildFlags,
) -> None:
    """Build TensorRT or TensorRT-RTX engines of BUNDLE (default: mghft-bundle), beside its graphs.

    If the bundle lacks the graphs of the precision, they are made first in the way its other graphs were made: INT8
    with the recipe and the ranges of the bundle, if it has any, otherwise with its calibration set. New graphs are
    compared with fp32. After the build, the fused attention kernels are counted.
    """
    console = Terminal(stderr=as_json)
    start = time.perf_counter()
    options = BuildOptions(
        precision=precision,
        branches=tuple(dict.fromkeys(branches)) or BuildOptions.branches,
        profiles=parse_profiles(batches, lengths),
        targets=parse_targets(target) if target is not None else (),
        workspace=parse_size(workspace) if workspace is not None else None,
        flags=flags,
    )
    warnings = Terminal(stderr=True)
    build = prepare_build(bundle, options, backend, lambda known: say_warning(warnings, known))
    if build.missing is not None and dry_run:
        command = build_command(bundle, build.backend.name, options)
        if as_json:
            click.echo(json.dumps({"missing_precision": precision, "command": command}, indent=1))
        else:
            say(
                console,
                f"Would first make the {precision} graphs of {bundle}, {build.missing[1]}; then: {command}",
            )
        return
    if build.missing is not None:
        say(console, f"The bundle has no {precision} graphs yet; they are made first, {build.missing[1]}.")
        with steps("reading the calibration set") as shown:
            build, verified = add_missing(
                build, verify=not no_verify, on_step=shown.start, on_stickers=shown.stickers
            )
        if verified:
            print_verifications(verified, console)
    warn_of_precision(build.bundle.manifest, precision)
    plan = build.plan()
    if dry_run:
        _show_plan(plan, build.gpu, console, as_json=as_json)
        return
    with Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), console=console
    ) as progress:
        info = build_engines(plan, _on_progress(progress), lambda sentence: say_warning(warnings, sentence))
        for task in progress.task_ids:
            progress.update(task, completed=1.0)
    if as_json:
        echo_json(info.model_dump(mode="json"))
    else:
        console.print(engine_table(plan, info))
    _warn_of_missing(info, warnings)
    seconds = time.perf_counter() - start
    say(console, "Engines written to ", (str(plan.folder), "bold"), f" in {seconds:.0f} s.")
    first = info.engines[plan.branches[0].branch].file.path
    say(console, "Next: ", (f"mghft-export inspect {plan.folder / first}", "bold"))


def _on_progress(progress: Progress) -> Callable[[str, str, float], None]:
    """One bar per branch; a finished bar stays."""
    tasks: dict[str, TaskID] = {}

    def show(branch: str, phase: str, done: float) -> None:
        if branch not in tasks:
            for earlier in tasks.values():
                progress.update(earlier, completed=1.0)
            tasks[branch] = progress.add_task(branch, total=1.0)
        progress.update(tasks[branch], completed=done, description=f"{branch:<7} {phase[:40]:<40}")

    return show


def engine_table(plan: EnginePlan, info: BuildInfo) -> Table:
    """A table of what was built, branch by branch."""
    table = Table(
        box=SIMPLE_HEAD,
        title=f"{info.precision} engines of {plan.backend.title}, for {_machine(info)}",
    )
    for heading in ("branch", "size", "build time", "layers", "fused attentions"):
        table.add_column(heading, justify="left" if heading == "branch" else "right")
    for branch, entry in info.engines.items():
        attentions = entry.attentions
        table.add_row(
            branch,
            f"{entry.file.bytes / 1e6:.1f} MB",
            f"{entry.seconds:.1f} s",
            str(entry.layers),
            f"{attentions.fused}/{attentions.expected}" if attentions.expected else "–",
        )
    if info.precision == "fp32":
        table.caption = "attention is only fused in FP16"
    return table


def _machine(info: BuildInfo) -> str:
    if info.gpu is not None:
        return f"{info.gpu.name} (sm{info.gpu.sm})"
    return ", ".join(f"sm{sm}" for sm in info.targets) or "GPUs of the Ampere generation and later"


def _warn_of_missing(info: BuildInfo, console: Console) -> None:
    """Warn about blocks with an attention that is not one kernel, with the cause if it is known."""
    for branch, entry in info.engines.items():
        if not entry.attentions.missing:
            continue
        blocks = ", ".join(entry.attentions.missing)
        fixed = any(maximum[0] == 1 for profile in entry.profiles for _, _, maximum in profile.values())
        remedy = (
            "a profile with batch 1 only does not fuse attentions with one head; use --batch 1,1,2 for latency"
            if fixed
            else "the engine is correct but slower; another version of the package may fuse them"
        )
        say_warning(console, f"attention is not fused in {branch}: {blocks} ({remedy})")


def _show_plan(plan: EnginePlan, gpu: Gpu | NoGpu, console: Console, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_plan_values(plan), indent=1))
        return
    machine = f"{gpu.name} (sm{gpu.sm})" if isinstance(gpu, Gpu) else f"none ({gpu.reason})"
    say(
        console,
        f"Would build with {plan.backend.title} into ",
        (str(plan.folder), "bold"),
        f"; GPU: {machine}.",
    )
    if plan.workspace is not None:
        console.print(f"Workspace: {plan.workspace / 2**20:.0f} MiB.")
    table = Table(box=SIMPLE_HEAD)
    for heading in ("branch", "from", "inputs", "attentions to fuse"):
        table.add_column(heading, justify="right" if heading.startswith("att") else "left", overflow="fold")
    for item in plan.branches:
        table.add_row(
            item.branch, item.onnx.path, "\n".join(map(_written, item.profiles)), str(len(item.attentions))
        )
    console.print(table)


def _written(shapes: Shapes) -> str:
    """The shapes of the first input; the other inputs have the same dynamic dimensions."""
    name, three = next(iter(shapes.items()))
    others = f" and {len(shapes) - 1} more" if len(shapes) > 1 else ""
    return f"{name} " + " / ".join("x".join(map(str, shape)) for shape in three) + others


def _plan_values(plan: EnginePlan) -> dict[str, object]:
    return {
        "folder": str(plan.folder),
        "backend": plan.backend.name,
        "version": plan.backend.version,
        "missing_precision": None,
        "precision": plan.options.precision,
        "targets": list(plan.options.targets),
        "workspace": plan.workspace,
        "command": build_command(plan.bundle.root, plan.backend.name, plan.options),
        "branches": [
            {
                "branch": item.branch,
                "onnx": item.onnx.path,
                "profiles": list(item.profiles),
                "attentions": len(item.attentions),
            }
            for item in plan.branches
        ],
    }
