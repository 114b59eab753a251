"""`--provider` of commands that run a bundle's graphs with one provider."""

from __future__ import annotations

import click

from mghft_export.runtime.graph_session import PROVIDERS

provider_option = click.option(
    "--provider",
    type=click.Choice(PROVIDERS),
    default="cpu",
    show_default=True,
    help="What runs the graphs: ONNX Runtime (cpu, cuda, tensorrt) or OpenVINO.",
)
