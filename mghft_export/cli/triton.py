"""`mghft-export triton`: a bundle becomes a model repository of NVIDIA Triton."""

from __future__ import annotations

from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from mghft_export.bundle import load_bundle
from mghft_export.cli.output import say, warn_of_precision
from mghft_export.serving.served_bundle import ServedBundle
from mghft_export.serving.triton_repository import RepositoryOptions, write_repository
from mghft_export.terminal import Terminal


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), default=Path("mghft-bundle"))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("model_repository"),
    show_default=True,
    help="Folder of the model repository.",
)
@click.option("--precision", default="fp32", show_default=True, help="Which of the bundle's graphs to serve.")
@click.option("--engine", help="Serve TensorRT engines: a folder, or its name in the bundle's engines/.")
@click.option("--name", default="mghft", show_default=True, help="Name of the model that clients call.")
@click.option(
    "--version", default=1, show_default=True, type=click.IntRange(1), help="Version of the models."
)
@click.option(
    "--max-batch", default=32, show_default=True, type=click.IntRange(1), help="Maximum stickers of one run."
)
@click.option(
    "--queue-delay",
    default=2000,
    show_default=True,
    type=click.IntRange(0),
    help="Microseconds that a request waits for others to run with.",
)
@click.option(
    "--instances",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Copies of each branch, on each GPU or on the CPU.",
)
@click.option(
    "--decoders",
    default=2,
    show_default=True,
    type=click.IntRange(1),
    help="Processes that decode images and tokenise texts.",
)
@click.option("--cpu", is_flag=True, help="Run ONNX graphs on the CPU.")
def triton(
    bundle: Path,
    output: Path,
    precision: str,
    engine: str | None,
    name: str,
    version: int,
    max_batch: int,
    queue_delay: int,
    instances: int,
    decoders: int,
    cpu: bool,
) -> None:
    """Write a model repository of BUNDLE (default: mghft-bundle) for NVIDIA Triton.

    Clients send a sticker's file and its text to one model, which calls the three branches.
    """
    opened = load_bundle(bundle)
    options = RepositoryOptions(name, version, max_batch, queue_delay, instances, decoders, not cpu)
    served = write_repository(opened, output, options, precision=precision, engine=engine)
    warn_of_precision(opened.manifest, served.precision)
    console = Terminal()
    console.print(_table(served, options))
    say(console, "Model repository written to ", (str(output), "bold"), ".")
    if served.tensorrt is not None:
        say(
            console,
            f"The server needs TensorRT {served.tensorrt}, which built the engines (docs/serving.md).",
        )
    say(console, "Next: ", (f"tritonserver --model-repository {output}", "bold"), " (docs/serving.md)")


def _table(served: ServedBundle, options: RepositoryOptions) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for heading in ("model", "backend", "max batch"):
        table.add_column(heading, justify="right" if heading == "max batch" else "left")
    table.add_row(options.name, "python", str(options.max_batch))
    for branch in served.branches.values():
        table.add_row(
            branch.model, "onnxruntime" if served.tensorrt is None else "tensorrt", str(branch.max_batch)
        )
    return table
