"""`mghft-export predict`: stickers through a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
from PIL import Image
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mghft_export.bundle import load_bundle
from mghft_export.cli.engine_option import refuse_with_engine
from mghft_export.cli.interpreter_option import interpreted_texts, refuse_beside_interpreter
from mghft_export.cli.texts import texts_of_images, warn_of_missing_views
from mghft_export.cli.warnings import warn_of_precision
from mghft_export.errors import StickerError
from mghft_export.runtime.features import load_features
from mghft_export.runtime.graph_session import PROVIDERS
from mghft_export.runtime.pipeline import FloatArray, Pipeline, Prediction
from mghft_export.stickers.image import open_sticker

BATCH = 8
"""Stickers that run together; bounds the memory of a long list."""


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--text", "texts", multiple=True, help="The sticker's text; once for all images, or once for each."
)
@click.option(
    "--text-file", type=click.Path(path_type=Path), help="Plain text, .jsonl (image, text) or SER30K .json."
)
@click.option(
    "--text-features", type=click.Path(path_type=Path), help="An .npz of `mghft-export encode-text`."
)
@click.option("--interpret", is_flag=True, help="Let a multimodal model describe the stickers first.")
@click.option(
    "--endpoint",
    metavar="URL",
    help="Of --interpret: an OpenAI-compatible server, to which the images are sent; its key is in OPENAI_API_KEY.",
)
@click.option(
    "--interpreter-model", default="", metavar="NAME", help="Of the endpoint.  [default: its only one]"
)
@click.option("--background", help="Colour under transparent stickers.  [default: the bundle's]")
@click.option(
    "--frame", default="middle", show_default=True, help="Of an animation: first, middle or a number."
)
@click.option("--precision", default="fp32", show_default=True, help="Which of the bundle's precisions.")
@click.option("--provider", type=click.Choice(PROVIDERS), default="cpu", show_default=True)
@click.option(
    "--engine",
    help="Run engines: a folder, or its name in the bundle's engines/. They have their own precision.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def predict(
    ctx: click.Context,
    bundle: Path,
    images: tuple[Path, ...],
    texts: tuple[str, ...],
    text_file: Path | None,
    text_features: Path | None,
    interpret: bool,
    endpoint: str | None,
    interpreter_model: str,
    background: str | None,
    frame: str,
    precision: str,
    provider: str,
    engine: str | None,
    as_json: bool,
) -> int:
    """Classify each IMAGE with its text. Broken images are named and left out; the exit status is 1 then."""
    errors = Console(stderr=True, soft_wrap=True)
    opened_bundle = load_bundle(bundle)
    manifest = opened_bundle.manifest
    if text_features is not None and (texts or text_file is not None):
        raise StickerError("give either texts or --text-features, not both")
    refuse_beside_interpreter(interpret, endpoint, interpreter_model, texts, text_file, text_features)
    by_image = {} if interpret or text_features is not None else texts_of_images(images, texts, text_file)
    refuse_with_engine(ctx, engine, "precision", "provider")
    pipeline = Pipeline(opened_bundle, precision=precision, provider=provider, engine=engine)
    warn_of_precision(manifest, pipeline.precision)
    opened = _open_all(images, background or manifest.image.background, frame, errors)
    texts_or_features: list[str] | FloatArray
    if text_features is not None:
        saved = load_features(text_features, opened_bundle)
        texts_or_features = _features_of(list(opened), saved.names, saved.features, text_features)
    else:
        if endpoint is not None:
            by_image = interpreted_texts(list(opened), endpoint, interpreter_model, manifest, errors)
            opened = {path: image for path, image in opened.items() if path in by_image}
        texts_or_features = [by_image[path] for path in opened]
        warn_of_missing_views(errors, manifest, [path.name for path in opened], texts_or_features)
    paths = list(opened)
    predictions: list[Prediction] = []
    for start in range(0, len(paths), BATCH):
        part = slice(start, start + BATCH)
        predictions += pipeline.predict([opened[path] for path in paths[part]], texts_or_features[part])
    if as_json:
        for path, prediction in zip(paths, predictions, strict=True):
            row = {"image": str(path), "label": prediction.label, "probabilities": prediction.probabilities}
            if interpret:
                row["text"] = by_image[path]
            click.echo(json.dumps({**row, "trained": manifest.trained}))
    elif predictions:
        Console().print(prediction_table(paths, predictions, manifest.class_names, trained=manifest.trained))
    return int(len(opened) < len(set(images)))


def _open_all(
    images: tuple[Path, ...], background: str, frame: str, errors: Console
) -> dict[Path, Image.Image]:
    """The images that can be read; the others are named on stderr."""
    number = int(frame) if frame.lstrip("-").isdigit() else frame
    opened = {}
    for path in images:
        try:
            opened[path] = open_sticker(path, background=background, frame=number)
        except StickerError as error:
            errors.print(f"[bold red]error:[/] {error}", highlight=False)
    return opened


def _features_of(paths: list[Path], names: tuple[str, ...], features: FloatArray, source: Path) -> FloatArray:
    """The row of each image: by file name, or the only row for all."""
    if len(names) == 1 and not names[0]:
        return np.repeat(features, len(paths), axis=0)
    rows = {name: number for number, name in enumerate(names)}
    missing = next((path for path in paths if path.name not in rows), None)
    if missing is not None:
        raise StickerError(
            f"{source} has no text features for {missing.name}; encode its text with --text-file"
        )
    return features[[rows[path.name] for path in paths]]


def prediction_table(
    paths: list[Path], predictions: list[Prediction], names: tuple[str, ...], *, trained: bool
) -> Table:
    """A row an image, a column a class."""
    title = None if trained else "[bold yellow]UNTRAINED MODEL: random weights, believe no prediction[/]"
    table = Table(box=SIMPLE_HEAD, title=title, padding=(0, 0, 0, 1))
    table.add_column("sticker", overflow="fold")
    table.add_column("emotion", style="bold")
    for name in names:
        table.add_column(name, justify="right")
    for path, prediction in zip(paths, predictions, strict=True):
        cells = [f"{share:.0%}" for share in prediction.probabilities.values()]
        table.add_row(path.name, prediction.label, *cells)
    return table
