"""`mghft-export encode-text`: encode texts once, for many predictions."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from mghft_export.bundle import load_bundle
from mghft_export.bundle.text_features import save_features
from mghft_export.cli.columns_option import columns_option
from mghft_export.cli.output import say, warn_of_precision
from mghft_export.cli.progress_bar import progress_bar
from mghft_export.cli.provider_option import provider_option
from mghft_export.cli.texts import warn_of_missing_views
from mghft_export.errors import StickerError
from mghft_export.runtime.pipeline import Pipeline
from mghft_export.stickers.text_file import read_texts
from mghft_export.terminal import Terminal

BATCH = 8
"""Stickers per batch; their texts run together."""


@click.command(name="encode-text")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="The .npz file to write."
)
@click.option("--text", help="One text, for any sticker.")
@click.option(
    "--text-file",
    type=click.Path(path_type=Path),
    help="A table of images and texts (.csv, .tsv, .jsonl, .json, .parquet), or plain text for all.",
)
@columns_option
@click.option("--precision", default="fp32", show_default=True, help="Which of the bundle's precisions.")
@provider_option
def encode_text(
    bundle: Path,
    output: Path,
    text: str | None,
    text_file: Path | None,
    columns: dict[str, str],
    precision: str,
    provider: str,
) -> None:
    """Encode the texts of stickers into an .npz file for `predict --text-features`."""
    console = Terminal(stderr=True)
    opened = load_bundle(bundle)
    if (text is None) == (text_file is None):
        raise StickerError("give the text with either --text or --text-file")
    found = read_texts(text_file, columns) if text_file is not None else text
    assert found is not None
    by_name = {"": found} if isinstance(found, str) else found
    names, texts = list(by_name), list(by_name.values())
    warn_of_missing_views(console, opened.manifest, names, texts)
    pipeline = Pipeline(opened, precision=precision, provider=provider)
    warn_of_precision(opened.manifest, precision)
    rows = []
    with progress_bar() as progress:
        task = progress.add_task("encoding", total=len(texts))
        for start in range(0, len(texts), BATCH):
            rows.append(pipeline.encode_texts(texts[start : start + BATCH]))
            progress.update(task, completed=min(start + BATCH, len(texts)))
    save_features(output, opened, names, np.concatenate(rows))
    say(console, f"{len(texts)} texts encoded to ", (str(output), "bold"), ".")
    say(console, "Next: ", (f"mghft-export predict {bundle} IMAGE... --text-features {output}", "bold"))
