"""`mghft-export batch`: a corpus through a model."""

from __future__ import annotations

import time
from pathlib import Path

import click

from mghft_export.api.model import load
from mghft_export.bundle import MANIFEST, load_bundle
from mghft_export.cli.columns_option import columns_option
from mghft_export.cli.engine_option import refuse_with_engine, trust_engine_option
from mghft_export.cli.image_options import frame_option
from mghft_export.cli.output import say, warn_of_precision
from mghft_export.cli.progress_bar import progress_bar
from mghft_export.cli.provider_option import provider_option
from mghft_export.corpus.run import BATCH, ROWS_PER_PART, CorpusEntry, run_corpus
from mghft_export.corpus.sources import open_source
from mghft_export.files.hashing import sha256
from mghft_export.terminal import Terminal


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("corpus", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="CORPUS...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the parquet files."
)
@click.option(
    "--text-file",
    type=click.Path(path_type=Path),
    help="Texts of the images, as predict takes them. A table has its own texts.",
)
@columns_option
@frame_option
@click.option("--precision", default="fp32", show_default=True, help="Which of the bundle's precisions.")
@provider_option
@click.option("--engine", help="Run engines: a folder, or its name in the bundle's engines/.")
@trust_engine_option
@click.option(
    "--batch", default=BATCH, show_default=True, type=click.IntRange(1), help="Stickers that run together."
)
@click.option(
    "--rows-per-part",
    default=ROWS_PER_PART,
    show_default=True,
    type=click.IntRange(1),
    help="Rows of one parquet file. A run that was stopped goes on after the last file.",
)
@click.pass_context
def batch(
    ctx: click.Context,
    bundle: Path,
    corpus: tuple[Path, ...],
    output: Path,
    text_file: Path | None,
    columns: dict[str, str],
    frame: str | int,
    precision: str,
    provider: str,
    engine: str | None,
    batch: int,
    rows_per_part: int,
) -> None:
    """Classify a corpus into parquet files: folders and images, or one table (.csv, .jsonl, .parquet).

    Run the same command again to go on after a stop. A sticker that cannot be classified is a row with an error.
    """
    refuse_with_engine(ctx, engine, "precision", "provider")
    opened = load_bundle(bundle)
    source = open_source(corpus, text_file, columns)
    console = Terminal(stderr=True)
    with load(opened, precision=precision, provider=provider, engine=engine) as model:
        warn_of_precision(opened.manifest, model.precision)
        entry = CorpusEntry(
            bundle=sha256(opened.root / MANIFEST),
            how=f"{model.precision}, {Path(engine).name if engine is not None else provider}",
            frame=frame,
            source=source.identity,
            rows=source.rows,
            rows_per_part=rows_per_part,
            class_names=model.class_names,
        )
        started = time.perf_counter()
        with progress_bar() as progress:
            task = progress.add_task("classifying", total=source.rows)
            done = run_corpus(
                model,
                source,
                output,
                entry,
                batch=batch,
                on_rows=lambda rows: progress.update(task, completed=rows),
            )
        seconds = time.perf_counter() - started
    new = done.rows - done.before
    say(
        console,
        f"{new} stickers in {seconds:.0f} s ({new / max(seconds, 1e-9):.0f} a second), {done.errors} with an error",
        f"; {done.before} were there before" if done.before else "",
        ".",
    )
    say(console, "Written to ", (str(output), "bold"), ".")
