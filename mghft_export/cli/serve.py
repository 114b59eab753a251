"""`mghft-export serve`: a bundle over HTTP, with Ray Serve."""

from __future__ import annotations

import ipaddress
import math
import os
import socket
from pathlib import Path

import click

from mghft_export.api.model import load
from mghft_export.bundle import load_bundle
from mghft_export.cli.engine_option import refuse_with_engine, trust_engine_option
from mghft_export.cli.output import say, warn_of_precision
from mghft_export.cli.provider_option import provider_option
from mghft_export.errors import MGHFTError
from mghft_export.optional_packages import optional_module
from mghft_export.serving.access_token import token_of
from mghft_export.serving.serve_options import MEGABYTE, ServeOptions
from mghft_export.terminal import Terminal

LONGEST = 50
"""Most seconds of `--timeout`. Ray waits for a minute until the last answers are given when a server stops."""


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path), default=Path("mghft-bundle"))
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at. Only this machine's own programs reach the default.",
)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen at."
)
@click.option("--precision", default="fp32", show_default=True, help="Which of the bundle's precisions.")
@provider_option
@click.option("--engine", help="Run engines: a folder, or its name in the bundle's engines/.")
@trust_engine_option
@click.option(
    "--replicas",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Processes that each load the model.",
)
@click.option(
    "--max-replicas", type=click.IntRange(1), help="Most processes; Ray starts more of them under load."
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="CPU threads of a replica.  [default: all cores, divided by the replicas]",
)
@click.option(
    "--gpus",
    type=click.FloatRange(0),
    help="GPUs that a replica reserves; 0.5 puts two on one GPU.  [default: 1 if it runs on a GPU]",
)
@click.option(
    "--max-batch", default=8, show_default=True, type=click.IntRange(1), help="Maximum stickers of one run."
)
@click.option(
    "--queue-delay",
    default=2000,
    show_default=True,
    type=click.IntRange(0),
    help="Microseconds that a request waits for others to run with.",
)
@click.option(
    "--max-queue",
    default=256,
    show_default=True,
    type=click.IntRange(1),
    help="Stickers that wait in a replica. More get status 429.",
)
@click.option(
    "--timeout",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, LONGEST, min_open=True),
    help="Seconds until a request gets status 504.",
)
@click.option(
    "--max-body",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Megabytes of a request. Longer ones get status 413.",
)
@click.option(
    "--config-out",
    type=click.Path(path_type=Path),
    help="Write a configuration for `serve deploy` on a Ray cluster, and serve nothing.",
)
@click.pass_context
def serve(
    ctx: click.Context,
    bundle: Path,
    host: str,
    port: int,
    precision: str,
    provider: str,
    engine: str | None,
    replicas: int,
    max_replicas: int | None,
    threads: int | None,
    gpus: float | None,
    max_batch: int,
    queue_delay: int,
    max_queue: int,
    timeout: float,
    max_body: float,
    config_out: Path | None,
) -> None:
    """Serve BUNDLE (default: mghft-bundle) over HTTP with Ray Serve.

    The server has a page for people, POST /predict for programs, and the Open Inference Protocol for the clients of
    Triton. Set a token in the environment variable MGHFT_TOKEN if other machines are to reach it.
    """
    refuse_with_engine(ctx, engine, "precision", "provider")
    if max_replicas is not None and max_replicas < replicas:
        raise MGHFTError(
            f"--max-replicas {max_replicas} is below --replicas {replicas}; raise it, or leave it out"
        )
    options = ServeOptions(
        bundle=str(bundle.absolute()),
        precision=precision,
        provider=provider,
        engine=_absolute(engine),
        replicas=replicas,
        max_replicas=max_replicas,
        threads=threads,
        gpus=_uses_gpu(provider, engine) if gpus is None else gpus,
        max_batch=max_batch,
        queue_delay=queue_delay,
        max_queue=max_queue,
        timeout=timeout,
        max_body=max(1, round(max_body * MEGABYTE)),
        needs_token=not _is_loopback(host),
    )
    for name, value in (("--timeout", timeout), ("--max-body", max_body), ("--gpus", gpus or 0)):
        if not math.isfinite(value):
            raise MGHFTError(f"{name} {value} is no number that can be used; give a finite one")
    for module in ("ray.serve", "fastapi", "python_multipart"):
        optional_module(module, "`mghft-export serve`")
    from mghft_export.serving.ray_server import run_server, write_config

    console = Terminal(stderr=True)
    opened = load_bundle(bundle)
    if config_out is not None:
        write_config(config_out, options, host=host, port=port)
        say(console, "Configuration written to ", (str(config_out), "bold"), ".")
        say(console, "Next, on the cluster: ", (f"serve deploy {config_out}", "bold"), " (docs/serving.md)")
        return
    token_of(os.environ, options.needs_token)
    _require_free(host, port)
    # What cannot be loaded is said here, in one sentence, and not by a replica in Ray's logs.
    with load(opened, precision=precision, provider=provider, engine=engine) as model:
        warn_of_precision(opened.manifest, model.precision)
    say(console, "Starting Ray ...")
    shown = f"[{host}]" if ":" in host else host
    run_server(
        options,
        host=host,
        port=port,
        on_ready=lambda: say(
            console, "Serving at ", (f"http://{shown}:{port}/", "bold"), ". Stop with Ctrl+C."
        ),
    )
    say(console, "Stopped.")


def _uses_gpu(provider: str, engine: str | None) -> bool:
    """Ray hides the GPUs from replicas that reserve none."""
    return engine is not None or provider in ("cuda", "tensorrt")


def _absolute(engine: str | None) -> str | None:
    """A folder of engines by its whole path, because replicas run in other folders; a name stays a name."""
    return str(Path(engine).absolute()) if engine is not None and Path(engine).is_dir() else engine


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_free(host: str, port: int) -> None:
    """Ray waits a long time for a port that is in use.

    Raises:
        MGHFTError: another program listens there, or this machine has no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
    except OSError as error:
        raise MGHFTError(
            f"cannot listen at {host}, port {port} ({error.strerror}); choose others with --host and --port"
        ) from error
