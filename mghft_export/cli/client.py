"""`mghft-export client`: classify stickers with a server."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from mghft_export.cli.columns_option import columns_option
from mghft_export.cli.output import say_error
from mghft_export.cli.prediction_lines import PredictionLines
from mghft_export.cli.texts import texts_of_images
from mghft_export.errors import StickerError
from mghft_export.serving.access_token import token_of
from mghft_export.serving.server_client import ServerClient
from mghft_export.stickers.image_files import images_of
from mghft_export.terminal import Terminal


@click.command()
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="IMAGE...")
@click.option("--url", default="http://localhost:8000", show_default=True, help="Address of the server.")
@click.option("--model", default="mghft", show_default=True, help="Name of the model that clients call.")
@click.option(
    "--text", "texts", multiple=True, help="The sticker's text; once for all images, or once for each."
)
@click.option(
    "--text-file", type=click.Path(path_type=Path), help="A table of images and texts, or plain text for all."
)
@columns_option
@click.option("--all", "every", is_flag=True, help="Show every class, not only the first three.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def client(
    images: tuple[Path, ...],
    url: str,
    model: str,
    texts: tuple[str, ...],
    text_file: Path | None,
    columns: dict[str, str],
    every: bool,
    as_json: bool,
) -> int:
    """Classify each IMAGE with a server: `mghft-export serve`, or Triton with what `mghft-export triton` wrote.

    A folder stands for the images in it. Broken images are named and left out; the exit status is 1 then. The token of
    a server is read from the environment variable MGHFT_TOKEN.
    """
    paths = images_of(images, sys.stdin.buffer)
    named = texts_of_images(paths, texts, text_file, columns, without=True)
    connection = ServerClient(url, model, token_of(os.environ, False))
    console, errors = Terminal(), Terminal(stderr=True, soft_wrap=True)
    lines = PredictionLines(console, [path.name for path in paths], connection.class_names, every=every)
    failed = 0
    for path, text in zip(paths, named, strict=True):
        try:
            content = path.read_bytes()
        except OSError as error:
            failed += 1
            say_error(errors, f"cannot read {path}: {error.strerror}; check the path and its permissions")
            continue
        (found,) = connection.predict_each([content], [text or None])
        if isinstance(found, StickerError):
            failed += 1
            say_error(errors, f"{path}: {found}")
        elif as_json:
            row = {"image": str(path), "label": found.label, "probabilities": found.probabilities}
            click.echo(json.dumps(row))
        else:
            lines.print(path.name, found)
    return int(failed > 0)
