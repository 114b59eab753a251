"""`mghft-export`: from a checkpoint to a form that runs on a device."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence

import click

from mghft_export import __version__
from mghft_export.errors import MGHFTError
from mghft_export.optional_packages import missing_package
from mghft_export.stopping import Stopped, raising_stops

COMMANDS = {
    "onnx": ("mghft_export.cli.onnx", "onnx", "Export a checkpoint as a verified bundle of ONNX graphs."),
    "predict": ("mghft_export.cli.predict", "predict", "Classify stickers with a bundle."),
    "batch": ("mghft_export.cli.batch", "batch", "Classify a corpus into parquet files."),
    "encode-text": (
        "mghft_export.cli.encode_text",
        "encode_text",
        "Encode texts once, for use with predict.",
    ),
    "train": ("mghft_export.cli.train", "train", "Train MGHFT on a data set."),
    "eval": ("mghft_export.cli.eval", "evaluate", "Measure a model on labelled stickers, or compare two."),
    "verify": (
        "mghft_export.cli.verify",
        "verify",
        "Measure what a bundle's precisions cost, against fp32.",
    ),
    "calibrate": (
        "mghft_export.cli.calibrate",
        "calibrate",
        "Sample the stickers that a quantised model is calibrated on.",
    ),
    "sensitivity": (
        "mghft_export.cli.sensitivity",
        "sensitivity",
        "Measure what each layer's INT8 costs; choose layers that stay float.",
    ),
    "trt": ("mghft_export.cli.trt", "trt", "Build TensorRT or TensorRT-RTX engines of a bundle."),
    "triton": (
        "mghft_export.cli.triton",
        "triton",
        "Write a model repository for NVIDIA Triton.",
    ),
    "serve": ("mghft_export.cli.serve", "serve", "Serve a bundle over HTTP, with a page to try it."),
    "client": ("mghft_export.cli.client", "client", "Classify stickers with a server."),
    "inspect": ("mghft_export.cli.inspect", "inspect", "Show the layers of an engine."),
    "interpret": (
        "mghft_export.cli.interpret",
        "interpret",
        "Let a multimodal model write the texts of stickers.",
    ),
    "data": ("mghft_export.cli.data", "data", "Look at data sets of stickers; divide them."),
}
"""Module, attribute and summary of each command. A module is imported when its command is used."""


class LazyGroup(click.Group):
    """A group that imports a command when it is used, so that `--help` and small commands start at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise MGHFTError(missing_package(f"`mghft-export {cmd_name}`", error)) from error
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="mghft-export")
def cli() -> None:
    """Take MGHFT, a sticker emotion model, from a checkpoint to the fastest form that gives the same answers."""


def run(command: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit status. An :class:`MGHFTError` becomes one sentence on stderr and status 2.

    If a signal ends the command, the status is 128 plus the signal's number, as in shells.
    """
    try:
        with raising_stops():
            result = command.main(args=arguments, standalone_mode=False)
            sys.stdout.flush()
    except MGHFTError as error:
        _say_error(error)
        return 2
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _drop_output()
        _say_error(f"cannot write: {error.strerror}; free some space, or write to another place")
        return 2
    except click.ClickException as error:
        from mghft_export.terminal import visible

        shown = io.StringIO()
        error.show(file=shown)
        click.echo(visible(shown.getvalue().rstrip("\n"), keep="\n"), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:
        click.echo("stopped", err=True)
        # click turns a KeyboardInterrupt into an Abort.
        signalled = stop if isinstance(stop, Stopped) else stop.__cause__
        return 128 + (signalled.number if isinstance(signalled, Stopped) else signal.SIGINT)
    return result if isinstance(result, int) else 0


_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
"""Error numbers of the system if a disk, a quota or a file is full."""


def _say_error(error: object) -> None:
    from mghft_export.cli.output import say_error
    from mghft_export.terminal import Terminal

    say_error(Terminal(stderr=True), error)


def _drop_output() -> None:
    """Drop output that could not be written. Otherwise Python would try again at its exit and report an error."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def main() -> None:
    """Entry point of `mghft-export`."""
    # Otherwise pydantic looks through every installed package for plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    sys.exit(run(cli))
