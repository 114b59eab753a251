"""`mghft-export predict`: classify stickers with a bundle."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.text import Text

from mghft_export.bundle import Manifest, load_bundle
from mghft_export.bundle.text_features import TextFeatures, load_features
from mghft_export.cli.columns_option import columns_option
from mghft_export.cli.engine_option import refuse_with_engine, trust_engine_option
from mghft_export.cli.image_options import frame_option, max_pixels_option, parse_colour
from mghft_export.cli.interpreter_option import interpreted_texts, refuse_beside_interpreter
from mghft_export.cli.output import say_error, say_note, warn_of_precision
from mghft_export.cli.prediction_lines import PredictionLines
from mghft_export.cli.progress_bar import progress_bar
from mghft_export.cli.provider_option import provider_option
from mghft_export.cli.texts import shared_text_note, texts_of_images, warn_of_missing_views
from mghft_export.errors import StickerError
from mghft_export.runtime.pipeline import FloatArray, Pipeline, Prediction
from mghft_export.runtime.read_ahead import read_ahead
from mghft_export.stickers.image import open_sticker
from mghft_export.stickers.image_files import images_of
from mghft_export.stickers.text_file import find_by_name
from mghft_export.terminal import Terminal

BATCH = 8
"""Stickers per batch; as many more are read ahead."""


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--text", "texts", multiple=True, help="The sticker's text; once for all images, or once for each."
)
@click.option(
    "--text-file",
    type=click.Path(path_type=Path),
    help="A table of images and texts (.csv, .tsv, .jsonl, .json, .parquet), or plain text for all.",
)
@columns_option
@click.option(
    "--text-features", type=click.Path(path_type=Path), help="An .npz of `mghft-export encode-text`."
)
@click.option("--interpret", is_flag=True, help="Let a multimodal model describe the stickers first.")
@click.option(
    "--endpoint",
    metavar="URL",
    help="OpenAI-compatible server for --interpret. It gets the images; its key is in OPENAI_API_KEY.",
)
@click.option(
    "--interpreter-model",
    default="",
    metavar="NAME",
    help="Model of the endpoint.  [default: its only model]",
)
@click.option(
    "--background",
    callback=parse_colour,
    help="Colour behind transparent stickers.  [default: the bundle's]",
)
@frame_option
@max_pixels_option
@click.option("--precision", default="fp32", show_default=True, help="Which of the bundle's precisions.")
@provider_option
@click.option(
    "--engine",
    help="Run engines: a folder, or its name in the bundle's engines/. Engines have their own precision.",
)
@trust_engine_option
@click.option("--all", "every", is_flag=True, help="Show every class, not only the first three.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def predict(
    ctx: click.Context,
    bundle: Path,
    images: tuple[Path, ...],
    texts: tuple[str, ...],
    text_file: Path | None,
    columns: dict[str, str],
    text_features: Path | None,
    interpret: bool,
    endpoint: str | None,
    interpreter_model: str,
    background: str | None,
    frame: str | int,
    max_pixels: int,
    precision: str,
    provider: str,
    engine: str | None,
    every: bool,
    as_json: bool,
) -> int:
    """Classify each IMAGE with its text. A folder stands for the images in it, `-` for names on standard input.

    Each sticker is printed when it is done. Broken images are named and left out; the exit status is 1 then.
    """
    errors = Terminal(stderr=True, soft_wrap=True)
    opened = load_bundle(bundle)
    manifest = opened.manifest
    if text_features is not None and (texts or text_file is not None):
        raise StickerError("give either texts or --text-features, not both")
    refuse_beside_interpreter(interpret, endpoint, interpreter_model, texts, text_file, text_features)
    asked = images_of(images, sys.stdin.buffer)
    named: list[str] = []
    if not interpret and text_features is None:
        named = texts_of_images(asked, texts, text_file, columns, without=manifest.no_text is not None)
    refuse_with_engine(ctx, engine, "precision", "provider")
    pipeline = Pipeline(opened, precision=precision, provider=provider, engine=engine)
    warn_of_precision(manifest, pipeline.precision)
    say_note(shared_text_note(asked, named))
    paths, failed = asked, 0
    rows: FloatArray | list[str]
    if text_features is not None:
        rows = _features_of(asked, load_features(text_features, opened), text_features)
    else:
        if endpoint is not None:
            by_image = interpreted_texts(asked, endpoint, interpreter_model, manifest, errors)
            paths = [path for path in asked if path in by_image]
            failed = len(asked) - len(paths)
            named = [by_image[path] for path in paths]
        rows = named
        warn_of_missing_views(errors, manifest, [path.name for path in paths], rows)
    read = partial(_pixels, pipeline, background or manifest.image.background, frame, max_pixels)
    show = _printer(paths, manifest, every=every, as_json=as_json, texts=named if interpret else ())
    return int(failed + _run(pipeline, paths, read, rows, show, errors) > 0)


def _run(
    pipeline: Pipeline,
    paths: Sequence[Path],
    read: Callable[[Path], FloatArray],
    texts: FloatArray | Sequence[str],
    show: Callable[[int, Prediction], None],
    errors: Console,
) -> int:
    """Read, classify and show, batch by batch; return how many images could not be read."""
    failed = 0
    batch: list[tuple[int, FloatArray]] = []

    def finish() -> None:
        numbers = [number for number, _ in batch]
        chosen = texts[numbers] if isinstance(texts, np.ndarray) else [texts[number] for number in numbers]
        predictions = pipeline.classify(np.stack([pixels for _, pixels in batch]), chosen)
        for number, prediction in zip(numbers, predictions, strict=True):
            show(number, prediction)
        batch.clear()

    # On a terminal, a bar would break up the printed lines, and the lines already show the progress.
    with progress_bar(shown=not sys.stdout.isatty()) as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # set here, because threads share the filters
        task = bar.add_task("classifying", total=len(paths))
        for number, pixels in read_ahead(range(len(paths)), lambda index: read(paths[index]), ahead=BATCH):
            if isinstance(pixels, StickerError):
                failed += 1
                say_error(errors, pixels)
            else:
                batch.append((number, pixels))
            if len(batch) == BATCH:
                finish()
            bar.advance(task)
        if batch:
            finish()
    return failed


def _pixels(pipeline: Pipeline, background: str, frame: str | int, max_pixels: int, path: Path) -> FloatArray:
    """The vision branch's input for one file, [3, H, W]. The decoded image, which may be large, is not kept."""
    image = open_sticker(path, background=background, frame=frame, max_pixels=max_pixels)
    pixels: FloatArray = pipeline.preprocess([image])[0]
    return pixels


def _printer(
    paths: Sequence[Path], manifest: Manifest, *, every: bool, as_json: bool, texts: Sequence[str]
) -> Callable[[int, Prediction], None]:
    """A function that prints a prediction, given the sticker's number."""

    def as_object(number: int, prediction: Prediction) -> None:
        row: dict[str, object] = {
            "image": str(paths[number]),
            "label": prediction.label,
            "probabilities": prediction.probabilities,
        }
        if texts:
            row["text"] = texts[number]
        click.echo(json.dumps({**row, "trained": manifest.trained}))

    if as_json:
        return as_object
    console = Terminal()
    lines = PredictionLines(console, [path.name for path in paths], manifest.class_names, every=every)

    def as_line(number: int, prediction: Prediction) -> None:
        if not manifest.trained and not lines.begun:
            console.print(Text("UNTRAINED MODEL: random weights, predictions are meaningless", "bold yellow"))
        lines.print(paths[number].name, prediction)

    return as_line


def _features_of(paths: Sequence[Path], saved: TextFeatures, source: Path) -> FloatArray:
    """The features of each image: the row with its file name, or the only row for all images."""
    if len(saved.names) == 1 and not saved.names[0]:
        return np.repeat(saved.features, len(paths), axis=0)
    rows = {name: number for number, name in enumerate(saved.names)}
    keys = find_by_name(paths, saved.names, source)
    missing = next((path for path, key in zip(paths, keys, strict=True) if key is None), None)
    if missing is not None:
        raise StickerError(
            f"{source} has no text features for {missing.name}; encode its text with --text-file"
        )
    return saved.features[[rows[key] for key in keys if key is not None]]
