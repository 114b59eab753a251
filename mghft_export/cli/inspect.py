"""`mghft-export inspect`: the layers of an engine."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mghft_export.engines.attentions import FUSED_KERNELS
from mghft_export.engines.engine_layers import Layer, read_layers, read_times
from mghft_export.errors import EngineError
from mghft_export.terminal import Terminal


@click.command()
@click.argument("engine", type=click.Path(path_type=Path))
@click.option("--name", "pattern", help="Show only layers with this text in their name or ONNX nodes.")
@click.option(
    "--profile",
    type=click.Path(path_type=Path),
    help="File with the times of the layers, written by `trtexec --exportProfile`.",
)
@click.option("--nodes", "show_nodes", is_flag=True, help="Show ONNX nodes instead of tactics.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def inspect(engine: Path, pattern: str | None, profile: Path | None, show_nodes: bool, as_json: bool) -> None:
    """Show the layers of ENGINE: name, precision, tactic, and time if it is known. No GPU is needed."""
    if engine.is_dir():
        found = sorted(item.name for item in engine.glob("*.engine"))
        listed = ", ".join(found) or "none"
        raise EngineError(f"{engine} is a folder; name one of its engines: {listed}")
    every = read_layers(engine)
    times = read_times(profile) if profile is not None else {}
    if times and not any(layer.name in times for layer in every):
        raise EngineError(f"{profile} has times of other layers than those of {engine}; profile this engine")
    chosen = [
        layer
        for layer in every
        if pattern is None or any(pattern in text for text in (layer.name, *layer.nodes))
    ]
    if as_json:
        values = [layer.model_dump(mode="json") | {"milliseconds": times.get(layer.name)} for layer in chosen]
        click.echo(json.dumps(values, indent=1))
        return
    console = Terminal()
    console.print(layer_table(chosen, times, show_nodes=show_nodes))
    fused = sum(layer.name.startswith(FUSED_KERNELS) for layer in chosen)
    total = f", {sum(times.get(layer.name, 0.0) for layer in chosen):.3f} ms" if times else ""
    of = f" of {len(every)}" if len(chosen) < len(every) else ""
    console.print(f"{len(chosen)}{of} layers, {fused} of them fused attentions{total}")


def layer_table(layers: list[Layer], times: dict[str, float], *, show_nodes: bool) -> Table:
    """One row per layer, in the order that they run."""
    table = Table(box=SIMPLE_HEAD, expand=True, padding=(0, 0, 0, 1))
    table.add_column("name", overflow="ellipsis", no_wrap=True, ratio=3)
    table.add_column("kind", no_wrap=True)
    table.add_column("precision", no_wrap=True)
    table.add_column("ONNX nodes" if show_nodes else "tactic", overflow="ellipsis", no_wrap=True, ratio=3)
    if times:
        table.add_column("ms", justify="right")
    for layer in layers:
        last = ", ".join(layer.nodes) if show_nodes else layer.tactic
        row: list[str | Text] = [Text(layer.name), layer.kind, layer.precision, Text(last)]
        if times:
            row.append(f"{times[layer.name]:.4f}" if layer.name in times else "")
        table.add_row(*row)
    return table
