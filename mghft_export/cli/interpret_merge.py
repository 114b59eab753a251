"""`mghft-export interpret merge`: merge the journals of shards into one set of texts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from mghft_export.cli.dataset_options import Reading, dataset_options
from mghft_export.cli.output import echo_json
from mghft_export.errors import InterpreterError
from mghft_export.interpretation.corpus import dataset_items, find_images, printable, read_corpus
from mghft_export.interpretation.merging import merge_journals
from mghft_export.interpretation.text_outputs import check_output, write_texts
from mghft_export.terminal import Terminal


@click.command()
@click.argument("journals", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="JOURNAL...")
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="ROOT", help="The data set that was described."
)
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="The images that were described: a file or a folder; may be given several times.",
)
@dataset_options
@click.option("--skip-bad", is_flag=True, help="Leave out bad rows of ROOT.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="File of texts to write, as in `mghft-export interpret`.",
)
@click.option("--partial", is_flag=True, help="Leave out stickers that no journal describes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def merge(
    journals: tuple[Path, ...],
    data: Path | None,
    images: tuple[Path, ...],
    reading: Reading,
    skip_bad: bool,
    output: Path,
    partial: bool,
    as_json: bool,
) -> None:
    """Write the texts of all shards' JOURNALs.

    It refuses journals of different models, prompt versions or languages, images that two journals describe, and
    stickers that no journal describes.
    """
    if bool(images) == (data is not None):
        raise InterpreterError("say what was described, with either --data ROOT or --images PATH")
    reading.refuse_without(data, "--data ROOT")
    check_output(output, data, journals)
    dataset = None
    if data is not None:
        dataset = reading.load(data, skip_bad=skip_bad, need_texts=False)
    with Terminal(stderr=True).status("reading images and journals"):
        corpus = read_corpus(dataset_items(dataset) if dataset else find_images(images), dataset=dataset)
        merged = merge_journals(journals, corpus, partial=partial)
    written = write_texts(
        output, corpus, lambda image: merged.text(corpus.hashes.get(image, "")), merged.source
    )
    if as_json:
        values = {
            **asdict(merged.source),
            "stickers": len(corpus.items),
            "written": written,
            "missing": [printable(image) for image in merged.missing],
            "not_in_the_corpus": merged.foreign,
            "output": printable(output),
        }
        echo_json(values)
        return
    notes = [
        f"{written} of {len(corpus.items)} stickers have their text by {merged.source.model} in {printable(output)}."
    ]
    if merged.foreign:
        notes.append(f"{merged.foreign} described images are not among them.")
    for note in notes:
        Terminal().print(Text(note), soft_wrap=True)
